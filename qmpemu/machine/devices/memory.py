"""DIMM slots: memory that was plugged in, and what the guest reported of it."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device

DRIVERS = ("pc-dimm", "nvdimm", "virtio-mem-pci", "virtio-pmem-pci")
FOUR_GIB = 1 << 32
ALIGNMENT = 1 << 27
"""Windows and QEMU place a DIMM at multiples of 128 MiB."""


class Slots:
    """count: `-m slots=`; most_bytes: `-m maxmem=` less the machine's own. plugged: slot -> DIMM."""

    __slots__ = ("base_bytes", "count", "most_bytes", "plugged")

    def __init__(self) -> None:
        self.count = 0
        self.base_bytes = 0
        self.most_bytes = 0
        self.plugged: dict[int, Device] = {}

    @property
    def plugged_bytes(self) -> int:
        """All memory that was plugged in."""
        return sum(int(device.values["size"]) for device in self.plugged.values())

    def plug(self, device: Device) -> int:
        """The slot and address for a DIMM; `size` among its values is its back end's. Raises Refused."""
        if not self.count:
            raise Refused("no slots where allocated, please specify the 'slots' option")
        if not device.values.get("memdev"):
            raise Refused("'memdev' property must be set")
        slot = self._slot(device)
        size = int(device.values["size"])
        if self.plugged_bytes + size > self.most_bytes:
            raise Refused(
                f"not enough space, currently 0x{self.plugged_bytes:x} in use of total space for memory "
                f"devices 0x{self.most_bytes:x}"
            )
        address = self._start()
        for other in sorted(self.plugged.values(), key=lambda each: int(each.values["addr"])):
            address = max(address, int(other.values["addr"]) + _aligned(int(other.values["size"])))
        device.values.update({"slot": slot, "node": device.values.get("node", 0)})
        if not device.values.get("addr"):
            device.values["addr"] = address
        self.plugged[slot] = device
        return slot

    def unplug(self, device: Device) -> None:
        """The DIMM is gone, if it was one."""
        self.plugged = {slot: each for slot, each in self.plugged.items() if each is not device}

    def _start(self) -> int:
        """Behind the machine's own memory above 4 GiB."""
        return max(FOUR_GIB, _aligned(self.base_bytes + (1 << 30)) if self.base_bytes > 2 << 30 else 0)

    def _slot(self, device: Device) -> int:
        asked = int(device.values.get("slot", -1))
        if asked < 0:
            free = [slot for slot in range(self.count) if slot not in self.plugged]
            if not free:
                raise Refused("no free slots available")
            return free[0]
        if asked >= self.count:
            raise Refused(f"invalid slot number {asked}, valid range is [0-{self.count - 1}]")
        if asked in self.plugged:
            raise Refused(f"slot {asked} is busy")
        return asked


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
