"""OSPM, the ACPI driver: the only part of Windows that touches the fixed hardware registers.

It turns ACPI mode on through SMI_CMD, enables the power button in PM1_EN (a press before that is lost by the
register itself), acknowledges events by writing 1 to PM1_STS, and ends everything by SLP_TYP|SLP_EN in PM1_CNT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu import acpi

if TYPE_CHECKING:
    from qmpemu.acpi import FixedHardware

SMI_CMD = 0xB2
"""The FADT's SMI_CMD port (facts: windows-acpi 2)."""

SLEEP_TYPES = {"S3": acpi.S3_SLP_TYP, "S4": acpi.S4_SLP_TYP, "S5": acpi.S5_SLP_TYP}


class Ospm:
    """Register access of one booted Windows."""

    __slots__ = ("_acpi", "_enabled_events", "_on")

    def __init__(self, hardware: FixedHardware) -> None:
        self._acpi = hardware
        self._enabled_events = acpi.PWRBTN | acpi.GBL
        self._on = False

    def enable(self) -> None:
        """Take the fixed hardware over: ACPI mode, old events discarded, power button on."""
        self._acpi.write(SMI_CMD, self._acpi.chipset.acpi_enable)
        self._write(acpi.PM1_STS, 0xFFFF)
        self._on = True
        self._write(acpi.PM1_EN, self._enabled_events)

    def enable_after_wake(self) -> None:
        """The same after S3: PWRBTN is enabled and then cleared, so the fake press of a wake-up is none (facts 4)."""
        self._acpi.write(SMI_CMD, self._acpi.chipset.acpi_enable)
        self._write(acpi.PM1_STS, acpi.WAK)
        self._write(acpi.PM1_EN, self._enabled_events)
        self._write(acpi.PM1_STS, acpi.PWRBTN | acpi.RTC)

    def let_alarm_wake(self) -> None:
        """Enable the clock's alarm as a wake event of the sleep that follows."""
        self._write(acpi.PM1_EN, self._enabled_events | acpi.RTC)

    def woken_by_alarm(self) -> bool:
        """Whether it was the clock that ended S3; asked before `enable_after_wake` clears it."""
        return bool(self._read(acpi.PM1_STS) & acpi.RTC)

    def disable_button(self) -> None:
        """Never set PWRBTN_EN again (C7: malware)."""
        self._enabled_events = acpi.GBL
        if self._on:
            self._write(acpi.PM1_EN, self._enabled_events)

    def acknowledge(self) -> bool:
        """Clear the enabled events that are set; True if the power button was among them."""
        active = self._read(acpi.PM1_STS) & self._read(acpi.PM1_EN)
        self._write(acpi.PM1_STS, active)
        return bool(active & acpi.PWRBTN)

    def offers(self, state: str) -> bool:
        """Whether the firmware describes this sleep state."""
        disabled = {"S3": self._acpi.s3_disabled, "S4": self._acpi.s4_disabled}
        return not disabled.get(state, False)

    def sleep(self, state: str) -> None:
        """Enter S3, S4 or S5."""
        control = self._read(acpi.PM1_CNT) & ~acpi.SLP_TYP_MASK
        self._write(acpi.PM1_CNT, control | SLEEP_TYPES[state] << acpi.SLP_TYP_SHIFT | acpi.SLP_EN)

    def reset(self) -> None:
        """Restart the machine through the reset register."""
        self._acpi.write(acpi.RESET_CONTROL_PORT, acpi.RESET_CONTROL_HARD)

    def _read(self, register: int) -> int:
        return self._acpi.read(self._acpi.pm_base + register)

    def _write(self, register: int, value: int) -> None:
        self._acpi.write(self._acpi.pm_base + register, value)
