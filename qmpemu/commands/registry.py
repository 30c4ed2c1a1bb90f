"""How a command or an event comes to be: one decorated function in a file of this folder; no list to edit.

    @command("system_reset")                     @event(MachineReset, "RESET")
    def system_reset(ctx): ...                   def reset(fact): return {"guest": ..., "reason": ...}

A command's keyword arguments are the QAPI members with `-` as `_`; they arrive checked against the recorded schema
(`qmp.schema`), so a handler checks only what introspection cannot express. It raises `Refused` or `QmpError` for the
peer's mistakes. Handlers only ask or read: what they requested is served right after them (`machine.board`).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from qmpemu.core.facts import Fact
    from qmpemu.hmp.session import HumanSession
    from qmpemu.machine.machine import Machine
    from qmpemu.profile import Profile

    F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """What a handler may touch: the machine, the recorded profile, and the descriptor sent with the command."""

    __slots__ = ("asker", "commands", "formats", "machine", "profile", "take_fd")

    def __init__(
        self,
        machine: Machine,
        profile: Profile,
        commands: Callable[[str, dict[str, object]], object],
        take_fd: Callable[[], int | None],
    ) -> None:
        self.machine = machine
        self.profile = profile
        self.commands = commands
        """Run another command by name (HMP does); events and refusals are as if a client had sent it."""
        self.formats = ("x", 4)
        """How the human monitor showed numbers last: format, size in bytes."""
        self.asker: HumanSession | None = None
        """The human monitor that is asking, if it is one of its own."""
        self.take_fd = take_fd
        """The descriptor that came with the message by SCM_RIGHTS, or None; taking it makes it the caller's."""


CO_VARKEYWORDS = 0x08
"""Code flag of a function that takes any keyword (`inspect` has the same number, and is slow to import)."""


class Command:
    """A registered command. quiet: it only reads, so it leaves no fact and needs no serving of requests."""

    __slots__ = ("call", "name", "quiet", "takes_arguments")

    def __init__(self, name: str, call: Callable[..., object]) -> None:
        self.name = name
        self.call = call
        self.quiet = name.startswith(("query-", "qom-list", "qom-get", "device-list-"))
        code = call.__code__
        self.takes_arguments = code.co_kwonlyargcount > 0 or bool(code.co_flags & CO_VARKEYWORDS)


COMMANDS: dict[str, Command] = {}
EVENTS: dict[type[Fact], tuple[str, Callable[[Fact], dict[str, object] | None]]] = {}


def command(name: str) -> Callable[[F], F]:
    """Register the function as the QMP command `name`; its arguments are keyword-only."""

    def register(call: F) -> F:
        COMMANDS[name] = Command(name, call)
        return call

    return register


def event(fact: type[Fact], name: str) -> Callable[[F], F]:
    """Register the function as the shape of the event `name`, sent whenever `fact` is published.

    It returns the event's data, or None for an event without data.
    """

    def register(shape: F) -> F:
        EVENTS[fact] = (name, shape)
        return shape

    return register


def keywords(arguments: dict[str, object]) -> dict[str, object]:
    """QAPI member names as Python keywords."""
    return {name.replace("-", "_"): value for name, value in arguments.items()}


def load() -> None:
    """Import every file of this folder once, which registers what they hold."""
    for entry in sorted(os.listdir(os.path.dirname(__file__))):
        module, _, ending = entry.partition(".")
        if ending == "py" and not module.startswith("__"):
            __import__(f"{__package__}.{module}")  # `importlib` costs a start a millisecond
