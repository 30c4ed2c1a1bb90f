"""A machine without a guest: its firmware runs, finds nothing to boot, and does not take the power button over."""

from __future__ import annotations

from typing import Any

from tests.driven import FIRMWARE, Driven


def alone(line: str) -> Driven:
    return Driven(f"-nodefaults {line}", QMPEMU_GUEST="none")


def functions(driven: Driven) -> dict[tuple[int, int], dict[str, Any]]:
    """The functions of bus 0 by slot and function."""
    (reply,) = driven.say("query-pci")
    return {(row["slot"], row["function"]): row for row in reply["return"][0]["devices"]}


def test_it_sets_pci_up_and_boots_nothing() -> None:
    """The controllers of q35: ports, memory and interrupt lines, from the first instruction until a reset."""
    driven = alone("-machine q35")
    assert functions(driven)[31, 2]["regions"][1]["address"] == -1
    driven.run(1)
    assert (31, 2) in functions(driven)
    sata, smbus = functions(driven)[31, 2], functions(driven)[31, 3]
    assert [region["address"] for region in sata["regions"]] == [0xC040, 0xFEBFF000]
    assert (sata["irq"], smbus["regions"][0]["address"]) == (10, 0x700)
    assert driven.facts().count("NothingBootable") == 1
    driven.say("system_reset")
    assert functions(driven)[31, 2]["regions"][1]["address"] == -1
    driven.run(1)
    assert functions(driven)[31, 2]["regions"][1]["address"] == 0xFEBFF000
    assert driven.vm.machine.console.screen().texts()[-1] == "No bootable device."


def test_it_resets_once_more_after_a_reset() -> None:
    """Its copy in RAM has run: the machine is reset by it, and then it starts as at first."""
    driven = alone("-machine pc")
    driven.run(1)
    driven.say("system_reset")
    assert driven.run(1) == ["RESET"]
    assert driven.vm.machine.console.screen().texts()[-1] == "No bootable device."
    assert driven.run(10) == []


def test_the_power_button_is_lost() -> None:
    """Nobody has enabled it."""
    driven = alone("-machine pc")
    driven.run(1)
    assert driven.say("system_powerdown")[-1] == {"return": {}}
    driven.run(60)
    assert "ButtonLost" in driven.facts() and driven.vm.exit_status is None


def test_what_comes_later_waits_for_a_reset() -> None:
    """A card that is plugged in has no addresses; one that goes leaves those of others alone."""
    driven = alone("-machine pc -device e1000,id=first,addr=5 -device rtl8139,addr=6")
    driven.run(1)
    before = functions(driven)[6, 0]
    driven.say("device_add", driver="e1000", id="late", addr="7")
    driven.say("device_del", id="first")
    assert functions(driven)[6, 0] == before
    assert functions(driven)[7, 0]["regions"][0]["address"] == -1
    driven.say("system_reset")
    driven.run(1)
    assert (5, 0) not in functions(driven)
    assert functions(driven)[7, 0]["regions"][0]["address"] > 0


def test_windows_does_not_start_without_acpi() -> None:
    """Its loader says why; the power button and the keys of a PS/2 keyboard that is not there do nothing."""
    driven = Driven("-nodefaults -machine pc,acpi=off,i8042=off", QMPEMU_GUEST="windows-10")
    driven.run(120)
    assert "FirmwareNotAcpi" in driven.facts()
    assert "not ACPI compatible" in driven.vm.machine.console.screen().texts()[-1]
    driven.say("system_powerdown")
    driven.say("send-key", keys=[{"type": "qcode", "data": "ret"}])
    driven.run(60)
    assert "ButtonLost" in driven.facts() and "PowerButtonPressed" not in driven.facts()
    (refused,) = driven.say("device_add", driver="e1000", id="late")
    assert refused["error"]["desc"] == "Bus 'pci.0' does not support hotplugging"


def test_a_file_of_somebodys_own_is_not_executed() -> None:
    """Its instructions are unknown: nothing is set up."""
    driven = alone(f"-machine q35 -bios {FIRMWARE}")
    driven.run(1)
    assert functions(driven)[31, 2]["regions"][1]["address"] == -1
    assert "NothingBootable" not in driven.facts()


def test_without_room_it_gives_up() -> None:
    """A region of 8 GiB that is no 64-bit one's neighbour behind a bridge: the buses are numbered, and that is all."""
    driven = alone(
        "-machine pc -device pci-bridge,id=b,chassis_nr=1 -device pci-testdev,membar=8G,bus=b,addr=4 "
        "-device VGA,bus=b,addr=5"
    )
    driven.run(1)
    bridge = functions(driven)[2, 0]
    assert bridge["pci_bridge"]["bus"]["secondary"] == 1 and bridge["irq"] == 0
    assert {region["address"] for row in bridge["pci_bridge"]["devices"] for region in row["regions"]} == {-1}


def test_it_travels() -> None:
    """A state of it is one of a boot, which is lived again."""
    from qmpemu.machine.migration.state import capture

    driven = alone("-machine q35 -nographic -serial null")
    driven.run(1)
    state = capture(driven.vm.machine)
    assert state["boot"]["origin"]["guest"] == "none" and state["boot"]["inputs"] == []
