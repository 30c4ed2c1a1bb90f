"""acpi: registers, the SCI level, lost and coalesced presses (values: facts/windows-acpi.md §2, qmp-wire.md §9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpemu import acpi
from qmpemu.acpi import (
    ICH9,
    PIIX4,
    PM1_CNT,
    PM1_EN,
    PM1_STS,
    PWRBTN,
    ButtonLatched,
    ButtonLost,
    FixedHardware,
)
from qmpemu.core.facts import Bus


class Lines:
    """Fixed hardware with recorded outputs."""

    def __init__(self, chipset: acpi.Chipset = ICH9) -> None:
        self.bus = Bus(lambda: 0)
        self.acpi = FixedHardware(chipset, self.bus, s3_disabled=False, s4_disabled=False)
        self.sci: list[bool] = []
        self.sleeps: list[str] = []
        self.resets = 0
        self.acpi.on_sci = self.sci.append
        self.acpi.on_sleep = self.sleeps.append
        self.acpi.on_reset = self.count_reset
        self.acpi.program_pm_base()
        self.base = chipset.pm_base

    def count_reset(self) -> None:
        self.resets += 1

    def names(self) -> list[str]:
        return [fact.name for fact in self.bus.kept]


def test_a_press_is_lost_while_the_button_is_not_enabled() -> None:
    """Without PWRBTN_EN nothing is latched: status stays as it was, the line stays low."""
    lines = Lines()
    lines.acpi.press_power_button()
    assert lines.acpi.read(lines.base + PM1_STS) == 0
    assert (lines.sci, lines.names()) == ([], [ButtonLost.__name__])


def test_a_press_sets_the_status_bit_and_raises_the_line() -> None:
    """With PWRBTN_EN the press latches PM1_STS bit 8; writing 1 clears it and lowers the line."""
    lines = Lines()
    lines.acpi.write(lines.base + PM1_EN, PWRBTN)
    lines.acpi.press_power_button()
    assert lines.acpi.read(lines.base + PM1_STS) == 0x0100
    lines.acpi.write(lines.base + PM1_STS, PWRBTN)
    assert lines.acpi.read(lines.base + PM1_STS) == 0
    assert lines.sci == [True, False]


def test_a_second_press_before_service_changes_nothing() -> None:
    """Presses coalesce while the status bit is set."""
    lines = Lines()
    lines.acpi.write(lines.base + PM1_EN, PWRBTN)
    lines.acpi.press_power_button()
    lines.acpi.press_power_button()
    latched = [fact for fact in lines.bus.kept if isinstance(fact, ButtonLatched)]
    assert [fact.coalesced for fact in latched] == [False, True]
    assert lines.sci == [True]


def test_enabling_with_a_status_bit_set_raises_the_line() -> None:
    """SCI is a level: clearing and setting EN lowers and raises it."""
    lines = Lines()
    lines.acpi.write(lines.base + PM1_EN, PWRBTN)
    lines.acpi.press_power_button()
    lines.acpi.write(lines.base + PM1_EN, 0)
    lines.acpi.write(lines.base + PM1_EN, PWRBTN)
    assert lines.sci == [True, False, True]


@pytest.mark.parametrize(("slp_typ", "sleeps"), [(0, ["S5"]), (1, ["S3"]), (2, ["S4"]), (5, [])])
def test_sleep_types(slp_typ: int, sleeps: list[str]) -> None:
    """SLP_TYP 0 is S5, 1 is S3, 2 is S4; others are ignored. SLP_EN reads back as 0."""
    lines = Lines()
    lines.acpi.write(lines.base + PM1_CNT, acpi.SLP_EN | slp_typ << acpi.SLP_TYP_SHIFT)
    assert lines.sleeps == sleeps
    assert lines.acpi.read(lines.base + PM1_CNT) == slp_typ << acpi.SLP_TYP_SHIFT


@pytest.mark.parametrize("chipset", [ICH9, PIIX4])
def test_the_smi_command_switches_sci_en(chipset: acpi.Chipset) -> None:
    """ACPI mode is entered and left through SMI_CMD with the chipset's own values."""
    lines = Lines(chipset)
    lines.acpi.write(0xB2, chipset.acpi_enable)
    assert lines.acpi.read(lines.base + PM1_CNT) == acpi.SCI_EN
    lines.acpi.write(0xB2, chipset.acpi_disable)
    assert lines.acpi.read(lines.base + PM1_CNT) == 0


def test_reset_unmaps_the_block_and_lowers_the_line() -> None:
    """After reset reads give all ones until the firmware programs the base again."""
    lines = Lines()
    lines.acpi.write(lines.base + PM1_EN, PWRBTN)
    lines.acpi.press_power_button()
    lines.acpi.reset()
    assert lines.acpi.read(lines.base + PM1_STS) == 0xFFFF
    lines.acpi.write(lines.base + PM1_EN, PWRBTN)
    lines.acpi.program_pm_base()
    assert lines.acpi.read(lines.base + PM1_EN) == 0
    assert lines.sci == [True, False]


@pytest.mark.parametrize(("value", "resets"), [(0x0F, 1), (0x06, 1), (0x02, 0)])
def test_the_reset_control_register(value: int, resets: int) -> None:
    """Port 0xCF9 resets when bit 2 is written."""
    lines = Lines()
    lines.acpi.write(acpi.RESET_CONTROL_PORT, value)
    assert lines.resets == resets


def test_wake_sets_the_status_bits_qemu_sets() -> None:
    """After a requested wake WAK and PWRBTN are set, so a guest that enables the button sees a press."""
    lines = Lines()
    lines.acpi.wake()
    assert lines.acpi.read(lines.base + PM1_STS) == acpi.WAK | PWRBTN
    assert lines.sci == []


def test_gpe0_takes_part_in_the_level() -> None:
    """A general purpose event with its enable bit raises the same line."""
    lines = Lines()
    lines.acpi.write(ICH9.gpe0 + ICH9.gpe0_half, 0x02)
    lines.acpi.raise_gpe(1)
    assert lines.acpi.read(ICH9.gpe0, 1) == 0x02
    lines.acpi.write(ICH9.gpe0, 0x02)
    assert lines.sci == [True, False]


WRITES = st.tuples(
    st.sampled_from([PM1_STS, PM1_EN, PM1_CNT]), st.integers(0, 0xFFFF).map(lambda v: v & ~acpi.SLP_EN)
)


@given(st.lists(st.one_of(WRITES, st.just("press")), max_size=40))
def test_the_line_always_equals_status_and_enable(steps: list[object]) -> None:
    """Whatever is written and pressed, the line is the AND of status and enable, and changes are reported once."""
    lines = Lines()
    for step in steps:
        if step == "press":
            lines.acpi.press_power_button()
        else:
            offset, value = step  # type: ignore[misc]
            lines.acpi.write(lines.base + offset, value)
        hardware = lines.acpi
        assert hardware.sci == bool(hardware.pm1_sts & hardware.pm1_en & acpi.SCI_SOURCES)
    assert lines.sci == [index % 2 == 0 for index in range(len(lines.sci))]
