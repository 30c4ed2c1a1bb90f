"""Malware: a handler in the kernel acknowledges the power button's interrupt and tells nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.windows.faults.registry import FaultActed, fault

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows

NAME = "swallow_button"


@fault(
    NAME,
    cause="C7",
    claim="ignored",
    remedy="none: no setting removes it; the guest agent still can shut down",
)
def swallow_button(windows: Windows, target: str) -> None:
    """Each press is acknowledged and dropped before the power policy hears of it."""

    def swallow() -> bool:
        windows.system.facts.chain(FaultActed(fault=NAME, cause="C7", effect="swallowed the press"))
        return True

    windows.system.hooks.button.append(swallow)
