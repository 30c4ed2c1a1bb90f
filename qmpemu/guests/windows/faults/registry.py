"""Every failure mode by name: what it does, of which cause of the mission it is, what remedies it, what it claims.

    @fault("hang_app", cause="C4", target="application", claim="stalled", remedies=("AutoEndTasks=1",))
    def hang_app(windows, name):
        '''A program no longer answers messages.'''          # the first line is the row's text

`claim` is the outcome of one press of the power button where only this is wrong, in a Windows with somebody logged
on; `remedies` are settings, each of which alone makes that same press complete. A test runs every claim.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.core.facts import Fact
from qmpemu.guests.registry import GuestError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.windows.windows import Windows

    Reach = Callable[[Windows, str], None]

INFECTION = "infection"
"""The target of what damages Windows itself: it stays on the disk, and no setting removes it (C7)."""

AGENT_SERVICE = "QEMU-GA"
"""The guest agent's service: what happens to it happens to its port (`agent_host`)."""


class FaultAttached(Fact):
    """Something is wrong with this Windows from now on. target: which application, service or driver, if one."""

    fault: str
    cause: str
    target: str


class FaultActed(Fact):
    """Something foreign changed what Windows does."""

    fault: str
    cause: str
    effect: str


class Fault(NamedTuple):
    """One failure mode.

    target: "infection", "application", "service" or "driver"; default: which one, when none is named.
    needs: settings under which the claim holds, where the defaults are not enough. does, remedy: for people.
    """

    name: str
    cause: str
    target: str
    default: str
    claim: str
    needs: tuple[str, ...]
    remedies: tuple[str, ...]
    remedy: str
    does: str
    reach: Reach


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    *,
    cause: str,
    claim: str,
    target: str = INFECTION,
    default: str = "",
    needs: tuple[str, ...] = (),
    remedies: tuple[str, ...] = (),
    remedy: str = "",
) -> Callable[[Reach], Reach]:
    """Register a function `(windows, target name)` that makes a running Windows fail in this way."""

    def register(reach: Reach) -> Reach:
        does = (reach.__doc__ or "").strip().partition("\n")[0]
        text = remedy or " or ".join(remedies) or "none: no setting removes it"
        _FAULTS[name] = Fault(name, cause, target, default, claim, needs, remedies, text, does, reach)
        return reach

    return register


def faults() -> dict[str, Fault]:
    """All of them by name."""
    if not _FAULTS:
        for entry in sorted(os.listdir(os.path.dirname(__file__))):
            module, _, ending = entry.partition(".")
            if ending == "py" and module not in ("__init__", "registry"):
                import_module(f"{__package__}.{module}")
    return _FAULTS


def infections() -> list[str]:
    """The names of those that damage Windows itself."""
    return [each.name for each in faults().values() if each.target == INFECTION]


def find(name: str, valid: list[str] | None = None) -> Fault:
    """The failure mode `name`, if it is among `valid` (default: all). Raises GuestError."""
    known = list(faults()) if valid is None else valid
    if name not in known:
        raise GuestError(f"fault '{name}' does not exist: {nearest(name, known)}")
    return faults()[name]


def attach(windows: Windows, name: str, target: str = "") -> None:
    """Make a Windows fail in this way from now on. Raises GuestError."""
    chosen = find(name)
    target = target or chosen.default
    windows.system.facts.chain(FaultAttached(fault=name, cause=chosen.cause, target=target))
    chosen.reach(windows, target)


def rows() -> list[tuple[str, str, str, str, str]]:
    """A table for people: name, cause of the mission, what it can be aimed at, what it does, what remedies it."""
    return [
        (each.name, each.cause, "" if each.target == INFECTION else each.target, each.does, each.remedy)
        for each in sorted(faults().values(), key=lambda each: (each.cause, each.name))
    ]
