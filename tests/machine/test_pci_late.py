"""PCI functions that come while Windows runs: it gives them addresses, out of the room that firmware has left."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qmpemu.machine.devices.pci import functions
from qmpemu.machine.migration import state
from qmpemu.machine.runstate import PAUSED
from tests.driven import Driven

UNSET = 2**64 - 1
Q35 = "-nodefaults -machine q35 -name w -device pcie-root-port,id=p,chassis=1 -device pcie-root-port,id=q,chassis=2"
PC = "-nodefaults -machine pc -name w -device pci-bridge,id=p,chassis_nr=1"


def booted(line: str, guest: str = "windows-10") -> Driven:
    driven = Driven(line, QMPEMU_GUEST=guest)
    driven.run(60)
    return driven


def plug(driven: Driven, line: str) -> None:
    assert driven.say("human-monitor-command", command_line=f"device_add {line}") == [{"return": ""}]


def rows(driven: Driven) -> dict[str, dict[str, Any]]:
    """The functions that have ids."""
    (reply,) = driven.say("query-pci")
    found = functions([row for bus in reply["return"] for row in bus["devices"]])
    return {row["qdev_id"]: row for row in found if row["qdev_id"]}


def addresses(row: dict[str, Any]) -> dict[int, int]:
    return {region["bar"]: region["address"] for region in row["regions"]}


def test_it_gets_them_once_windows_has_started_it() -> None:
    """A card behind a port: not with the command, but a moment later, within the windows of its port."""
    driven = booted(Q35)
    before = rows(driven)
    plug(driven, "virtio-net-pci,bus=p,id=n")
    assert set(addresses(rows(driven)["n"]).values()) <= {-1, UNSET}
    driven.run(1)
    after = rows(driven)
    window = after["p"]["pci_bridge"]["bus"]
    found = addresses(after["n"])
    assert window["memory_range"]["base"] <= found[1] <= window["memory_range"]["limit"] - 0xFFF
    wide = window["prefetchable_range"]
    assert wide["base"] <= found[4] <= wide["limit"] - 0x3FFF
    assert found[6] in (-1, UNSET), "a ROM stays off"
    assert after["q"] == before["q"]


def test_one_that_goes_lets_go_of_its_place() -> None:
    """The next one gets the same; while both are there, they do not overlap; a boot sets all up anew."""
    driven = booted(PC)
    plug(driven, "e1000,id=a")
    driven.run(1)
    first = addresses(rows(driven)["a"])
    plug(driven, "e1000,id=b")
    driven.run(1)
    assert first[0] - addresses(rows(driven)["b"])[0] == 0x20000
    assert driven.say("device_del", id="a") == [{"return": {}}]
    assert driven.run(1) == ["DEVICE_DELETED"]
    plug(driven, "e1000,id=c")
    driven.run(1)
    assert addresses(rows(driven)["c"]) == first
    driven.say("system_reset")
    driven.run(60)
    assert addresses(rows(driven)["c"]) != first


def test_what_does_not_fit_gets_nothing() -> None:
    """64 MiB behind a port with 2; 8 GiB beside little memory are above 4 GiB on q35, which offers more than pc."""
    driven = booted(Q35)
    plug(driven, "pci-testdev,membar=64M,bus=p,id=t")
    plug(driven, "e1000,bus=q,id=e")
    driven.run(1)
    assert set(addresses(rows(driven)["t"]).values()) <= {-1, UNSET}
    assert set(addresses(rows(driven)["e"]).values()) <= {-1, UNSET}, "no port is left for it"
    driven = booted(PC)
    plug(driven, "pci-testdev,membar=1G,id=t")
    plug(driven, "pci-testdev,membar=4G,id=u")
    driven.run(1)
    assert addresses(rows(driven)["t"])[2] == 0x80000000
    assert set(addresses(rows(driven)["u"]).values()) <= {-1, UNSET}


def test_a_bridge_gets_a_number_and_windows() -> None:
    """On the root bus; behind another one no number is left."""
    driven = booted(PC)
    plug(driven, "pci-bridge,id=b,chassis_nr=4,bus=pci.0")
    plug(driven, "pci-bridge,id=c,chassis_nr=5,bus=p,addr=4")
    driven.run(1)
    plug(driven, "e1000,id=e,bus=b,addr=1")
    driven.run(1)
    found = rows(driven)
    bus = found["b"]["pci_bridge"]["bus"]
    assert (bus["number"], bus["secondary"], bus["subordinate"]) == (0, 2, 2)
    assert found["e"]["bus"] == 2
    assert bus["io_range"]["base"] <= addresses(found["e"])[1] <= bus["io_range"]["limit"]
    assert found["c"]["pci_bridge"]["bus"]["secondary"] == 0


@pytest.mark.parametrize("line", [Q35, PC])
def test_it_travels(line: str) -> None:
    """The destination shows what the source has shown, of what firmware has seen gone and of what has come since."""
    driven = booted(f"{line} -device virtio-rng-pci,id=r,bus=p,addr=0")
    driven.say("device_del", id="r")
    driven.run(1)
    plug(driven, "virtio-scsi-pci,id=s,bus=p,addr=0")
    driven.run(1)
    other = driven
    for _ in range(2):
        carried = json.loads(json.dumps(state.capture(other.vm.machine)))
        other = Driven(f"{line} -device virtio-scsi-pci,id=s,bus=p,addr=0 -S")
        state.restore(other.vm.machine, carried, PAUSED)
        assert rows(other) == rows(driven)
    assert all(value not in (-1, UNSET) for bar, value in addresses(rows(other)["s"]).items() if bar != 6)


def test_nobody_gives_any_without_an_operating_system() -> None:
    """Firmware alone, or Windows before its drivers run: what came during the boot gets its place at their start."""
    driven = booted(Q35, "none")
    plug(driven, "virtio-rng-pci,bus=p,id=r")
    driven.run(10)
    assert set(addresses(rows(driven)["r"]).values()) <= {-1, UNSET}
    driven = Driven(Q35, QMPEMU_GUEST="windows-10")
    driven.run(1)
    plug(driven, "virtio-rng-pci,bus=p,id=r")
    driven.run(1)
    assert set(addresses(rows(driven)["r"]).values()) <= {-1, UNSET}
    driven.run(60)
    assert not set(addresses(rows(driven)["r"]).values()) & {-1, UNSET}
