"""Broken Windows: WINLOGON accepts a shutdown and then waits for a session manager that never answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.activity import Gate
from qmpemu.guests.windows.faults.registry import FaultActed, fault

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows

NAME = "broken_session_manager"


@fault(NAME, cause="C7", claim="stalled")
def broken_session_manager(windows: Windows, target: str) -> None:
    """A shutdown begins, through whatever door, and no session is ever told to end."""

    def hold() -> Steps[bool]:
        windows.system.facts.chain(FaultActed(fault=NAME, cause="C7", effect="does not answer"))
        yield Gate()
        return False

    windows.system.hooks.shutdown.append(hold)
