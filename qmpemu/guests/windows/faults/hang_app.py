"""A program that no longer takes messages from its queue: Windows waits its time-outs, then asks the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.windows.faults.registry import fault
from qmpemu.guests.windows.participants import CONSOLE_CLOSE, END_SESSION, HANG, QUERY_END_SESSION
from qmpemu.guests.windows.running import program

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows


@fault(
    "hang_app",
    cause="C4",
    target="application",
    default="notepad.exe",
    claim="stalled",
    remedies=("AutoEndTasks=1", "SHUTDOWN=1"),
)
def hang_app(windows: Windows, target: str) -> None:
    """A program no longer answers; it is started if it does not run."""
    for point in (QUERY_END_SESSION, END_SESSION, CONSOLE_CLOSE):
        program(windows.system, windows.sessions.active, target).overrides[point] = HANG
