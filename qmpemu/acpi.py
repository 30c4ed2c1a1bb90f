"""ACPI fixed hardware as registers: PM1_STS/EN/CNT, GPE0, the SCI line, sleep types. No callbacks for buttons.

    press ──> PM1_STS.PWRBTN  (only while PM1_EN.PWRBTN is set: otherwise the press is LOST)
                  │
    SCI level  =  (STS & EN & {TMR,GBL,PWRBTN,RTC}) or (GPE0_STS & GPE0_EN), recomputed at every write
                  │
    guest writes 1 to STS to clear, and SLP_TYP|SLP_EN to PM1_CNT to sleep or power off

Registers and bits: facts/windows-acpi.md §2 (measured on QEMU 7.2: facts/qmp-wire.md §9). Offsets are relative to
the PM base that the firmware programs; until it does, reads give all ones and writes go nowhere.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Bus, Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Alarm(Protocol):
        """What scheduling returns."""

        def cancel(self) -> None:
            """Do not call."""


PM1_STS, PM1_EN, PM1_CNT = 0x00, 0x02, 0x04
"""Register offsets from the PM base; 16 bits each (ACPI 4.8.3)."""

TMR, GBL, PWRBTN, SLPBTN, RTC, WAK = 0x0001, 0x0020, 0x0100, 0x0200, 0x0400, 0x8000
"""Bits of PM1_STS and PM1_EN (ACPI 4.8.3.1). SLPBTN exists but does not reach QEMU's SCI."""

SCI_EN, SLP_EN = 0x0001, 0x2000
"""Bits of PM1_CNT; SLP_EN reads back as 0 (ACPI 4.8.3.2)."""

SLP_TYP_SHIFT, SLP_TYP_MASK = 10, 0x1C00
TIMER_HZ, TIMER_MASK, TIMER_HALF = 3_579_545, 0xFFFFFF, 0x800000
"""The PM timer's rate and its 24 bits; TMR is set whenever the highest of them toggles (ACPI 4.8.3.3)."""
SCI_SOURCES = TMR | GBL | PWRBTN | RTC
RESET_CONTROL_PORT, RESET_CONTROL_HARD = 0xCF9, 0x0F
"""The FADT's RESET_REG of QEMU's q35 and the value that resets."""


class Chipset:
    """What differs between chipsets: the usual PM base, GPE0 (status half, then enable half), SMI commands.

    gpe0_follows: GPE0 moves with the PM base.
    """

    __slots__ = ("acpi_disable", "acpi_enable", "gpe0", "gpe0_follows", "gpe0_half", "name", "pm_base")

    def __init__(
        self,
        name: str,
        *,
        pm_base: int,
        gpe0: int,
        gpe0_half: int,
        gpe0_follows: bool,
        acpi_enable: int,
        acpi_disable: int,
    ) -> None:
        self.name = name
        self.pm_base = pm_base
        self.gpe0 = gpe0
        self.gpe0_half = gpe0_half
        self.gpe0_follows = gpe0_follows
        self.acpi_enable = acpi_enable
        self.acpi_disable = acpi_disable


ICH9 = Chipset(
    "ICH9", pm_base=0x0600, gpe0=0x0620, gpe0_half=8, gpe0_follows=True, acpi_enable=0x02, acpi_disable=0x03
)
PIIX4 = Chipset(
    "PIIX4", pm_base=0xB000, gpe0=0xAFE0, gpe0_half=2, gpe0_follows=False, acpi_enable=0xF1, acpi_disable=0xF0
)

S5_SLP_TYP, S3_SLP_TYP, S4_SLP_TYP = 0, 1, 2
SLEEP_STATES = {S5_SLP_TYP: "S5", S3_SLP_TYP: "S3", S4_SLP_TYP: "S4"}
"""SLP_TYP code to sleep state, as QEMU's DSDT packages give them; another code is ignored."""


class PmTime:
    """The PM timer's time: now_ns() since the machine was first started; call_in(delay_ns, callback)."""

    __slots__ = ("call_in", "now_ns")

    def __init__(
        self, now_ns: Callable[[], int], call_in: Callable[[int, Callable[[], object]], Alarm]
    ) -> None:
        self.now_ns = now_ns
        self.call_in = call_in


class ButtonLatched(Fact):
    """The power button set PM1_STS.PWRBTN. coalesced: it was still set from an earlier press."""

    coalesced: bool


class ButtonLost(Fact):
    """The power button was pressed while PM1_EN.PWRBTN was clear: no register keeps it."""

    pm1_en: int


class SciChanged(Fact):
    """The SCI line went up or down; pm1_sts and pm1_en as they were then."""

    level: bool
    pm1_sts: int
    pm1_en: int


class SleepRequested(Fact):
    """The guest wrote SLP_EN: `state` is S3, S4, S5, or "ignored" for a code no state has."""

    state: str
    slp_typ: int


class FixedHardware:
    """The PM1 block, GPE0 and the SCI of one machine."""

    __slots__ = (
        "_alarm",
        "_facts",
        "_overflow_ticks",
        "_time",
        "chipset",
        "described",
        "gpe0_en",
        "gpe0_sts",
        "on_reset",
        "on_sci",
        "on_sleep",
        "pm1_cnt",
        "pm1_en",
        "pm1_sts",
        "pm_base",
        "s3_disabled",
        "s4_disabled",
        "sci",
        "there",
    )

    def __init__(
        self,
        chipset: Chipset,
        facts: Bus,
        *,
        s3_disabled: bool,
        s4_disabled: bool,
        there: bool = True,
        described: bool = True,
    ) -> None:
        """there: whether the board has these registers. described: whether tables tell an operating system of them."""
        self.there = there
        self.described = described
        self.chipset = chipset
        self._facts = facts
        self.s3_disabled = s3_disabled
        self.s4_disabled = s4_disabled
        self.on_sci: Callable[[bool], None] = _ignore
        self.on_sleep: Callable[[str], None] = _ignore
        self.on_reset: Callable[[], None] = _ignore
        self.sci = False
        self._time: PmTime | None = None
        self._alarm: Alarm | None = None
        self.reset()

    def reset(self) -> None:
        """Machine reset: every register to 0, the PM base unprogrammed (facts/qmp-wire.md §9)."""
        self.pm_base = 0
        self.pm1_sts = self.pm1_en = self.pm1_cnt = self.gpe0_sts = self.gpe0_en = 0
        self._overflow_ticks = 0
        self._update_sci()

    def use_time(self, time: PmTime) -> None:
        """Give the PM timer its time; without one it stands still and never sets TMR."""
        self._time = time
        self._update_sci()

    @property
    def gpe0_base(self) -> int:
        """Where GPE0 is now: behind the PM base on the ICH9, 0 while that is unprogrammed; fixed on the PIIX4."""
        if not self.there:
            return 0
        if self.chipset.gpe0_follows:
            return self.pm_base + self.chipset.gpe0 - self.chipset.pm_base if self.pm_base else 0
        return self.chipset.gpe0

    def timer_value(self) -> int:
        """The 24 bits of the PM timer."""
        return self._ticks() & TIMER_MASK

    def status(self) -> int:
        """PM1_STS with TMR as the timer has it by now."""
        if self._time is not None and self._ticks() >= self._overflow_ticks:
            self.pm1_sts |= TMR
        return self.pm1_sts

    def press_power_button(self) -> None:
        """Latch the press if the guest has enabled the button; otherwise it is lost."""
        if not self.pm1_en & PWRBTN:
            self._facts.chain(ButtonLost(pm1_en=self.pm1_en))
            return
        coalesced = bool(self.pm1_sts & PWRBTN)
        self.pm1_sts |= PWRBTN
        self._facts.chain(ButtonLatched(coalesced=coalesced))
        self._update_sci()

    def wake(self, *, by_alarm: bool = False) -> None:
        """Leave S3: WAK is set, with RTC for its alarm, else PWRBTN as QEMU pretends (facts/windows-acpi.md §4)."""
        self.pm1_sts |= WAK | (RTC if by_alarm else PWRBTN)
        self._update_sci()

    def program_pm_base(self) -> None:
        """What the firmware does once after reset: map the block at the chipset's usual base."""
        if self.there:
            self.pm_base = self.chipset.pm_base

    def read(self, port: int, size: int = 2) -> int:
        """Read `size` bytes at an absolute I/O port; an unmapped port reads all ones."""
        value = 0
        for i in range(size):
            value |= self._read_byte(port + i) << (8 * i)
        return value

    def write(self, port: int, value: int) -> None:
        """Write a 16-bit register (PM1), one GPE0 byte, SMI_CMD (0xB2) or the reset control register."""
        if port == 0xB2:
            self._write_smi_command(value)
        elif port == RESET_CONTROL_PORT:
            if value & 0x04:  # CF9 bit 2 goes from 0 to 1: the CPU is reset
                self.on_reset()
        elif self.pm_base and port - self.pm_base in (PM1_STS, PM1_EN, PM1_CNT):
            self._write_pm1(port - self.pm_base, value & 0xFFFF)
        elif self.gpe0_base and 0 <= port - self.gpe0_base < 2 * self.chipset.gpe0_half:
            self._write_gpe0(port - self.gpe0_base, value & 0xFF)

    def raise_gpe(self, bit: int) -> None:
        """Set one GPE0 status bit, e.g. for hot plug."""
        self.gpe0_sts |= 1 << bit
        self._update_sci()

    def _read_byte(self, port: int) -> int:
        offset = port - self.pm_base
        if self.pm_base and 0 <= offset < 6:
            register = (self.status(), self.pm1_en, self.pm1_cnt)[offset // 2]
            return (register >> (8 * (offset % 2))) & 0xFF
        offset = port - self.gpe0_base
        if self.gpe0_base and 0 <= offset < 2 * self.chipset.gpe0_half:
            register = self.gpe0_sts if offset < self.chipset.gpe0_half else self.gpe0_en
            return (register >> (8 * (offset % self.chipset.gpe0_half))) & 0xFF
        return 0xFF

    def _write_pm1(self, offset: int, value: int) -> None:
        if offset == PM1_STS:
            if self.status() & value & TMR:
                self._overflow_ticks = (self._ticks() + TIMER_HALF) & ~(TIMER_HALF - 1)
            self.pm1_sts &= ~value  # write 1 to clear
        elif offset == PM1_EN:
            self.pm1_en = value
        else:
            self.pm1_cnt = value & ~SLP_EN
            if value & SLP_EN:
                self._sleep((value & SLP_TYP_MASK) >> SLP_TYP_SHIFT)
        self._update_sci()

    def _write_gpe0(self, offset: int, value: int) -> None:
        shift = 8 * (offset % self.chipset.gpe0_half)
        if offset < self.chipset.gpe0_half:
            self.gpe0_sts &= ~(value << shift)
        else:
            self.gpe0_en = self.gpe0_en & ~(0xFF << shift) | value << shift
        self._update_sci()

    def _write_smi_command(self, value: int) -> None:
        if value == self.chipset.acpi_enable:
            self.pm1_cnt |= SCI_EN
        elif value == self.chipset.acpi_disable:
            self.pm1_cnt &= ~SCI_EN

    def _sleep(self, slp_typ: int) -> None:
        state = SLEEP_STATES.get(slp_typ, "ignored")
        self._facts.chain(SleepRequested(state=state, slp_typ=slp_typ))
        if state != "ignored":
            self.on_sleep(state)

    def _update_sci(self) -> None:
        status = self.status()
        level = bool(status & self.pm1_en & SCI_SOURCES) or bool(self.gpe0_sts & self.gpe0_en & 0xFF)
        self._watch_timer(bool(self.pm1_en & TMR) and not status & TMR)
        if level != self.sci:
            self.sci = level
            self._facts.publish(SciChanged(level=level, pm1_sts=status, pm1_en=self.pm1_en))
            self.on_sci(level)

    def _ticks(self) -> int:
        return self._time.now_ns() * TIMER_HZ // NS_PER_S if self._time is not None else 0

    def _watch_timer(self, on: bool) -> None:
        """Look again when the timer's highest bit toggles, while the guest wants to be told."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if on and self._time is not None:
            due_ns = -(-self._overflow_ticks * NS_PER_S // TIMER_HZ)
            self._alarm = self._time.call_in(max(0, due_ns - self._time.now_ns()), self._update_sci)


def _ignore(*_: object) -> None:
    """Nobody is wired to this line."""
