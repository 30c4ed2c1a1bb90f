"""Malware: the power button's driver is disabled, so OSPM never sets PWRBTN_EN and the register loses each press."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.windows.faults.registry import fault

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows


@fault(
    "disable_button",
    cause="C7",
    claim="lost",
    remedy="none: no setting removes it; the guest agent still can shut down",
)
def disable_button(windows: Windows, target: str) -> None:
    """The power button is disabled at the hardware: each press is lost in the register."""
    windows.ospm.disable_button()
