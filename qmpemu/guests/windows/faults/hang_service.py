"""A service that does not stop: it costs its time-out, and Windows goes on without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from qmpemu.guests.windows.faults.registry import AGENT_SERVICE, fault
from qmpemu.guests.windows.participants import HANG, PRESHUTDOWN, SHUTDOWN

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows


@fault(
    "hang_service",
    cause="F7",
    target="service",
    default="Spooler",
    claim="completed",
    remedy="none needed: it ends after WaitToKillServiceTimeout or preshutdown_timeout_ms",
)
def hang_service(windows: Windows, target: str) -> None:
    """A service does not stop when it is told to; it is installed if there is none of that name."""
    service = windows.services.service(target)
    hangs = {**service.responses, PRESHUTDOWN: HANG, SHUTDOWN: HANG}
    windows.services.running[service.name] = structs.replace(service, responses=hangs, respond=None)
    if windows.agent is not None and service.name == AGENT_SERVICE:
        windows.agent.freeze()
