"""virtio-mem as hardware: how much of its memory the host wants in use, set while the machine runs, and how much is.

The refusals are measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.machine.devices.catalog import VIRTIO_BACKEND
from qmpemu.machine.devices.memory import PAGE
from qmpemu.virtio_mem import VirtioMem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.qom import Object

KIND = "virtio-mem-pci"
REQUESTED = "requested-size"


class MemoryResized(Fact):
    """The guest plugged or unplugged memory of a virtio-mem device (QMP event MEMORY_DEVICE_SIZE_CHANGE)."""

    id: str | None
    size_bytes: int
    path: str


class VirtioMemory:
    """The virtio-mem devices of one machine. shared: what its guest sees of them."""

    __slots__ = ("_devices", "_machine", "shared")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._devices: dict[str, Device] = {}
        self.shared = VirtioMem()
        self.shared.on_give = self._given

    def add(self, device: Device) -> None:
        """The device is there."""
        self._devices[device.path] = device
        self.shared.ask(device.path, int(device.values.get(REQUESTED, 0)))

    def wishes(self) -> dict[str, int]:
        """Path -> how much the host wants in use."""
        return {path: int(device.values.get(REQUESTED, 0)) for path, device in self._devices.items()}

    def arrive(self, wishes: object) -> None:
        """A guest is here, whose host wanted so much of devices that both have; a device's own option gives way."""
        for path, size_bytes in wishes.items() if isinstance(wishes, dict) else ():
            device = self._devices.get(path)
            if device is not None and isinstance(size_bytes, int):
                device.values[REQUESTED] = self.shared.requested[path] = size_bytes

    def show_in(self, top: Object, device: Device) -> None:
        """Stand in the object tree: what can be set, and what changes by itself."""
        values = device.values
        for each in (top, top.children[VIRTIO_BACKEND[1:]]):
            each.getters = {"size": lambda: values["size"], REQUESTED: lambda: values.get(REQUESTED, 0)}
            each.setters = {
                REQUESTED: lambda value: self._ask(device, value),
                "size": lambda _: _refuse("Property 'virtio-mem.size' is not writable"),
                "block-size": lambda _: _refuse("'block-size' cannot be changed"),
            }
            each.writable = frozenset(each.setters)

    def _ask(self, device: Device, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"Parameter '{REQUESTED}' expects uint64")
        most_bytes = self._machine.devices.memory.ranges[device][1]
        block = int(device.values.get("block-size", PAGE))
        if value % (1 << 64) % block:
            raise Refused(f"'{REQUESTED}' has to be multiples of 'block-size' ({block:#x})")
        if value % (1 << 64) > most_bytes:
            raise Refused(f"'{REQUESTED}' cannot exceed the memory backend size({most_bytes:#x})")
        device.values[REQUESTED] = value
        self._machine.history.note("virtio-mem", device.path, str(value))
        self.shared.ask(device.path, value)

    def _given(self, path: str) -> None:
        device = self._devices.get(path)
        if device is not None:
            size_bytes = device.values["size"] = self.shared.plugged[path]
            self._machine.facts.publish(MemoryResized(id=device.id, size_bytes=size_bytes, path=path))


def _refuse(text: str) -> None:
    raise Refused(text)
