"""Memory that was plugged in: DIMMs in their slots, and memory behind a virtio device, all in one range of addresses.

A virtio-mem device has a range for the most it can give; it gives nothing until a guest's driver asks.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device

VIRTIO = ("virtio-mem-pci", "virtio-pmem-pci")
DRIVERS = ("pc-dimm", "nvdimm", *VIRTIO)
FOUR_GIB = 1 << 32
GIB = 1 << 30
PAGE = 2 << 20
FILE_PAGE = 4 << 10
"""What memory in a file is a multiple of; of others it is PAGE."""


class Slots:
    """count: `-m slots=`; most_bytes: `-m maxmem=` less the machine's own. plugged: slot -> DIMM.

    high_bytes: the machine's own memory above 4 GiB. ranges: every device -> address and bytes.
    """

    __slots__ = ("count", "has_acpi", "high_bytes", "most_bytes", "nodes", "plugged", "ranges")

    def __init__(self) -> None:
        self.count = 0
        self.has_acpi = True
        """Whether an operating system can be told of them."""
        self.high_bytes = 0
        self.nodes = 0
        """How many NUMA nodes there are."""
        self.most_bytes = 0
        self.plugged: dict[int, Device] = {}
        self.ranges: dict[Device, tuple[int, int]] = {}

    @property
    def plugged_bytes(self) -> int:
        """All memory that was plugged in and is there."""
        return sum(int(device.values["size"]) for device in self.ranges)

    @property
    def dimm_bytes(self) -> int:
        """What a balloon counts beside the machine's own memory: DIMMs, and nothing that is persistent or virtio's."""
        return sum(size for device, (_, size) in self.ranges.items() if device.kind == "pc-dimm")

    @property
    def migrated_bytes(self) -> int:
        """What a migration goes over: virtio-mem with all that it could give, virtio-pmem not at all (measured)."""
        labels = (int(device.values.get("label-size", 0)) for device in self.ranges)
        sizes = (size for device, (_, size) in self.ranges.items() if device.kind != "virtio-pmem-pci")
        return sum(sizes) + sum(labels)

    def plug(self, device: Device) -> int:
        """The slot and address for a DIMM; `size` among its values is its back end's. Raises Refused."""
        if not self.has_acpi:
            raise Refused("memory hotplug is not enabled: missing acpi device or acpi disabled")
        node = int(str(device.values.get("node", 0)))
        if node and node >= max(1, self.nodes):
            raise Refused(
                f"'DIMM property node has value {node}' which exceeds the number of numa nodes: {max(1, self.nodes)}"
            )
        if not self.count:
            raise Refused("no slots where allocated, please specify the 'slots' option")
        if not device.values.get("memdev"):
            raise Refused("'memdev' property must be set")
        slot = self._slot(device)
        self._place(device, "addr")
        device.values.update({"slot": slot, "node": device.values.get("node", 0)})
        self.plugged[slot] = device
        return slot

    def plug_virtio(self, device: Device) -> None:
        """The address for memory behind a virtio device. Raises Refused."""
        is_mem = device.kind == "virtio-mem-pci"
        node = int(str(device.values.get("node", 0)))
        if is_mem and node and node >= max(1, self.nodes):
            raise Refused(
                f"'node' property has value '{node}', which exceedsthe number of numa nodes: {max(1, self.nodes)}"
            )
        block = int(device.values.get("block-size", PAGE))
        if int(device.values.get("requested-size", 0)) % block:
            raise Refused(f"'requested-size' property has to be multiples of 'block-size' ({block:#x})")
        self._place(device, "memaddr")
        if is_mem:
            device.values["size"] = 0

    def _place(self, device: Device, name: str) -> None:
        size = int(device.values["size"])
        if not self.most_bytes:
            raise Refused(
                "memory devices (e.g. for memory hotplug) are not enabled, please specify the maxmem option"
            )
        used = sum(each for _, each in self.ranges.values())
        if used + size > self.most_bytes:
            raise Refused(
                f"not enough space, currently 0x{used:x} in use of total space for memory "
                f"devices 0x{self.most_bytes:x}"
            )
        granule = max(device.granule, int(device.values.get("block-size", 0)))
        asked = int(str(device.values.get(name, 0)), 0)
        if asked % granule:
            raise Refused(f"address must be aligned to {granule:#x} bytes")
        if size % device.granule:
            raise Refused(f"backend memory size must be multiple of {device.granule:#x}")
        device.values[name] = asked or self._free(size, granule)
        self.ranges[device] = device.values[name], size

    def unplug(self, device: Device) -> None:
        """The DIMM is gone, if it was one."""
        self.plugged = {slot: each for slot, each in self.plugged.items() if each is not device}
        self.ranges.pop(device, None)

    def _free(self, size: int, granule: int) -> int:
        """The first address behind which there is so much room."""
        address = self._start()
        for start, length in sorted(self.ranges.values()):
            if start >= address + size:
                break
            address = max(address, -(-(start + length) // granule) * granule)
        return address

    def _start(self) -> int:
        """Behind the machine's own memory above 4 GiB."""
        return FOUR_GIB + -(-self.high_bytes // GIB) * GIB

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
