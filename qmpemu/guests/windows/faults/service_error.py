"""A service that ended with an error: the Shutdown Event Tracker wants to know why, before a shutdown (C2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.windows.faults.registry import AGENT_SERVICE, fault

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows


@fault(
    "service_error",
    cause="C2",
    target="service",
    default="Spooler",
    claim="stalled",
    needs=("ShutdownReasonOn=1",),
    remedies=("ShutdownReasonOn=0",),
    remedy="ShutdownReasonOn=0, or somebody answers the tracker at the console",
)
def service_error(windows: Windows, target: str) -> None:
    """A service ends with an error while nobody told it to stop; it is installed if there is none of that name."""
    agent = windows.agent
    if agent is not None and agent.runs and target.casefold() == AGENT_SERVICE.casefold():
        agent.close()
        agent.on_death()
    else:
        windows.services.fail(target)
