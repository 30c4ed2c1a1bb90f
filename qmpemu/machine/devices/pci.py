"""What query-pci shows: the functions on each PCI bus, from their recorded rows, and what firmware has set up.

Before firmware has run, bridges have no bus numbers, so nothing is seen behind them, and regions no addresses.
"""

from __future__ import annotations

from qmpemu.machine.devices.regions import sized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.devices.bus import Bus
    from qmpemu.machine.devices.table import Device, Devices

MEMORY_TOP, IO_BASE = 0xFEBF_0000, 0xC000
"""Where the simulated firmware puts regions: memory downwards from below the I/O APIC, ports upwards."""
IRQS = (10, 10, 11, 11)
"""PCI interrupt routing of SeaBIOS, by (slot + pin) modulo 4."""
WINDOW = 2 << 20
ROM_BAR, SHPC_BAR = 6, 0
NO_ROM = {"romfile": ""}
MSIX_BAR = 1
"""Of a virtio device: where its interrupt vectors are, if it has any."""


class Firmware:
    """One pass of firmware over the buses: numbers, addresses, interrupts. done: whether firmware has run."""

    def __init__(self, *, done: bool) -> None:
        self.done = done
        self._number = 0
        self._memory = MEMORY_TOP
        self._io = IO_BASE

    def rows(
        self, bus: Bus, number: int, board: list[dict[str, Any]], devices: Devices
    ) -> list[dict[str, Any]]:
        """The functions on a bus, by slot and function; buses behind it get their numbers.

        board: rows of those that belong to the board.
        """
        found = [self._placed(row) if self.done else row for row in board]
        for place, device in bus.taken.items():
            if (
                not isinstance(device, str)
                and device.recorded is not None
                and device.recorded.pci is not None
            ):
                found.append(self._function(device, int(str(place)), number, devices))
        return sorted(found, key=lambda row: (row["slot"], row["function"]))

    def _function(self, device: Device, devfn: int, number: int, devices: Devices) -> dict[str, Any]:
        assert device.recorded is not None and device.recorded.pci is not None
        slot, function = divmod(devfn, 8)
        row: dict[str, Any] = {**device.recorded.pci, "bus": number, "slot": slot, "function": function}
        row["qdev_id"] = device.id or device.alias
        if device.values.get("vectors") == 0 and device.kind.startswith("virtio"):
            row["regions"] = [each for each in row["regions"] if each["bar"] != MSIX_BAR]
        if "mount_tag" in device.values:
            row["regions"] = [_with_tag(each, str(device.values["mount_tag"])) for each in row["regions"]]
        if device.values.get("shpc") is False:
            row["regions"] = [each for each in row["regions"] if each["bar"] != SHPC_BAR]
            row = {name: value for name, value in row.items() if name != "irq"} | {"irq_pin": 0}
        row["regions"] = sized(device, row["regions"])
        if NO_ROM.items() <= device.values.items():
            row["regions"] = [each for each in row["regions"] if each["bar"] != ROM_BAR]
        if device.bus is not None and device.bus.owner is not None and device.bus.kind == "PCIE":
            row = _express(row)
        if self.done and not device.hotplugged:
            row = self._placed(row)
        if "pci_bridge" in row:
            row["pci_bridge"] = self._bridge(device, row["pci_bridge"], devices)
        return row

    def begin(self, number: int) -> None:
        """Go on behind a root bus of that number."""
        self._number = number

    def _placed(self, row: dict[str, Any]) -> dict[str, Any]:
        """A function as firmware leaves it."""
        placed = {**row, "regions": [self._region(region) for region in row["regions"]]}
        if "irq" in row:
            placed["irq"] = IRQS[(int(row["slot"]) + int(row["irq_pin"]) - 1) % len(IRQS)]
        return placed

    def _region(self, region: dict[str, Any]) -> dict[str, Any]:
        size = int(region["size"])
        if region["type"] == "io":
            address = self._io = -(-self._io // size) * size
            self._io += size
        else:
            address = self._memory = (self._memory - size) // size * size
        return {**region, "address": address}

    def _bridge(self, device: Device, recorded: dict[str, Any], devices: Devices) -> dict[str, Any]:
        """A bridge's windows and numbers, and what is behind it once it has a number."""
        if not self.done:
            return recorded
        self._number += 1
        number = self._number
        behind = device.buses[0] if device.buses else None
        if behind is not None:
            behind.number = number
        rows = self.rows(behind, number, [], devices) if behind is not None else []
        self._memory = self._memory // WINDOW * WINDOW - WINDOW
        numbers = {"number": 0, "secondary": number, "subordinate": self._number}
        window = {"base": self._memory, "limit": self._memory + WINDOW - 1}
        bus = {**recorded["bus"], **numbers, "memory_range": window}
        return {"bus": bus, "devices": rows} if rows else {"bus": bus}


def _with_tag(region: dict[str, Any], tag: str) -> dict[str, Any]:
    """A virtio-9p function's ports hold the name by which a folder is mounted."""
    if region["type"] != "io":
        return region
    return {**region, "size": 32 if VIRTIO_PORTS + len(tag) <= 32 else 64}


VIRTIO_PORTS = 26
"""Bytes of a virtio-9p function's ports without the name."""


def functions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with those behind bridges, in the order of their buses."""
    found = []
    for row in rows:
        found += [row, *functions(row.get("pci_bridge", {}).get("devices", []))]
    return found


VIRTIO_VENDOR, TRANSITIONAL, MODERN, MODERN_SUBSYSTEM = 0x1AF4, range(0x1000, 0x1040), 0x1040, 0x1100


def _express(row: dict[str, Any]) -> dict[str, Any]:
    """A virtio function behind a PCI Express port is a modern one: another id, and no ports (virtio 1.1, 4.1.2)."""
    identity = row["id"]
    if identity["vendor"] != VIRTIO_VENDOR or identity["device"] not in TRANSITIONAL:
        return row
    modern = {"device": MODERN + identity["subsystem"], "subsystem": MODERN_SUBSYSTEM}
    regions = [region for region in row["regions"] if region["type"] != "io"]
    return {**row, "id": {**identity, **modern}, "regions": regions}
