"""A driver that never completes the power IRP: the power stays on until a watchdog ends it (0x9F)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from qmpemu.guests.windows.faults.registry import fault
from qmpemu.guests.windows.participants import HANG, IRP_SET_POWER, Driver

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows


@fault(
    "stall_driver",
    cause="F7",
    target="driver",
    default="storport.sys",
    claim="crashed",
    remedy="none: no setting removes it; another driver does",
)
def stall_driver(windows: Windows, target: str) -> None:
    """A driver keeps the power IRP, until the watchdog's bugcheck 0x9F; it is installed if there is none."""
    key = target.casefold()
    others = tuple(driver for driver in windows.shutdown.drivers if driver.name.casefold() != key)
    found = [driver for driver in windows.shutdown.drivers if driver.name.casefold() == key]
    driver = found[0] if found else Driver(name=target)
    stalls = structs.replace(driver, responses={**driver.responses, IRP_SET_POWER: HANG}, respond=None)
    windows.shutdown.drivers = (*others, stalls)
