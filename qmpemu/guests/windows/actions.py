"""The acts of an operator as a table: each is one decorated method, found by name from a command line or QMP."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qmpemu.core.facts import Fact
from qmpemu.guests.registry import GuestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.windows.operator import Operator


class OperatorActed(Fact):
    """Somebody at the console did something, or tried to."""

    action: str
    argument: str


class OperatorRefused(Fact):
    """What somebody tried cannot be done now."""

    action: str
    why: str


class OperatorError(GuestError):
    """An act that is not possible now; the text is one sentence that says why."""


class Action(NamedTuple):
    """An act by name. argument: what it takes, in brackets if it may be left out, or empty."""

    name: str
    argument: str
    meaning: str
    perform: Callable[[Operator, str], str]


ACTIONS: dict[str, Action] = {}


def action(argument: str = "") -> Callable[[Callable[..., str | None]], Callable[..., str]]:
    """Register a method as an act; its docstring's first line is the meaning. What it returns is shown."""

    def register(method: Callable[..., str | None]) -> Callable[..., str]:
        name = method.__name__

        def perform(operator: Operator, given: str = "") -> str:
            return operator.performed(name, given, lambda: method(operator, *([given] if argument else [])))

        perform.__doc__ = method.__doc__
        meaning = (method.__doc__ or "").partition("\n")[0]
        ACTIONS[name] = Action(name, argument, meaning, perform)
        return perform

    return register


def acts() -> list[tuple[str, str, str]]:
    """Each act for people: name, argument, meaning."""
    return [(each.name, each.argument, each.meaning) for each in ACTIONS.values()]
