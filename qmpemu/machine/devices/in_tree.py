"""What the object tree shows of everything that was added to a machine, read from it at each call."""

from __future__ import annotations

from qmpemu.machine.block.nodes import FLASH
from qmpemu.machine.devices.bus import EXPANDERS
from qmpemu.machine.devices.catalog import CPU_SUFFIX, VIRTIO_BACKEND
from qmpemu.machine.devices.memory_backend import BEGINNING
from qmpemu.machine.devices.virtio_memory import KIND as VIRTIO_MEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.qom import Object, Tree

PLUGGED = "/machine/device-memory[0]"
HANDLERS = ("ICH9-LPC", "PIIX4_PM")
NEXT = -1
"""The number of a device on the board's own bus, which follows from those before it."""
FIRST_UNITS = {"q35": 12, "pc": 4}
"""Units of the board's own disk controller."""


class InTree:
    """The added part of one machine's object tree."""

    __slots__ = ("_handled_by", "_machine")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._handled_by: str | None = None

    def shown(self) -> Iterator[tuple[str, Object]]:
        """Everything that stands in the object tree beside the bare machine."""
        for name, each in self._machine.objects.all.items():
            yield f"/objects/{name}", self.object_shown(each)
        for device in self._machine.devices.all:
            yield device.path, self.object_of(device)
            if device.kind in EXPANDERS:
                from qmpemu.machine.devices.expander import host

                yield host(device)
            if device.kind == "vmware-svga":
                from qmpemu.machine.devices.shown import command_queue

                yield "/machine/unattached/vmsvga.fifo[0]", command_queue()
        if any(self._machine.display.heads(device) for device in self._machine.devices.all) or self._lines():
            from qmpemu.machine.devices.consoles import shown

            yield from shown(self._machine)

    def complete(self, tree: Tree) -> None:
        """Change what stands otherwise in the bare machine's part."""
        machine = self._machine
        if not machine.preconfig and any(each.qdev.startswith(FLASH) for each in machine.blocks.drives):
            from qmpemu.machine.block.flash import show

            show(tree, machine)
        if not machine.preconfig:
            from qmpemu.machine.devices.derived import show_firmware

            top = tree.root.children["machine"].children
            show_firmware(machine, [*top.values(), *top["unattached"].children.values()])

    def links(self) -> Iterator[tuple[str, int, str, str]]:
        """Each device on a bus: the bus's path, its number there, its type and its path."""
        from qmpemu.machine.devices import shown

        for device in self._machine.devices.all:
            if device.bus is not None:
                yield device.bus.path, device.child, device.kind, device.path
            elif shown.is_on_board(device):
                yield shown.MAIN_BUS, NEXT, device.kind, device.path
            if device.kind in EXPANDERS:
                above = device.buses[0].path.rpartition("/")[0]
                yield shown.MAIN_BUS, NEXT, "pxb-host", above

    def object_of(self, device: Device) -> Object:
        """The device as the object tree shows it."""
        from qmpemu.machine.devices import derived, shown

        family = self._machine.config.family
        if device.kind.endswith(CPU_SUFFIX):
            made = self._machine.qom_processor(int(str(device.place)), device.path)
            for each in (made, made.children["lapic"]):
                each.values.update(hotplugged=device.hotplugged)
            return made
        made = shown.device(
            device, shown.Around(self._machine.devices, self._handler(), FIRST_UNITS.get(family, 0))
        )
        derived.fit(self._machine, device, made)
        if device.kind.startswith("virtio-balloon"):
            behind = made.children[VIRTIO_BACKEND[1:]]
            for each in (made, behind):
                self._machine.plugging.balloon_stats.show_in(each, behind.type_name)
        if device.kind == VIRTIO_MEM:
            self._machine.plugging.virtio_memory.show_in(made, device)
        return made

    def _lines(self) -> bool:
        """Whether a character device is a screen of text."""
        return any(each.backend == "vc" for each in self._machine.chardevs.values())

    def _handler(self) -> str:
        """The board's device that handles the plugging of PCI devices."""
        if self._handled_by is None:
            handlers = self._machine.recorded_objects(lambda values: values["type"] in HANDLERS)
            self._handled_by = next(iter(handlers), "")
        return self._handled_by

    def object_shown(self, made: UserObject) -> Object:
        """A user object as the object tree shows it."""
        from qmpemu.machine.devices import shown

        found = shown.user_object(made)
        if made.kind.startswith(BEGINNING):
            found.children[f"{made.given['id']}[0]"] = self._region(made)
        return found

    def _bytes_before(self, name: str) -> int | None:
        """How much memory NUMA nodes have before the one whose back end that is."""
        objects, before = self._machine.objects.all, 0
        for _, each in sorted(self._machine.config.numa_sizes.items()):
            if each == name:
                return before
            before += int(str(objects[each].values["size"])) if each in objects else 0
        return None

    def _region(self, made: UserObject) -> Object:
        """The region of memory that a back end makes, and where it is mapped."""
        from qmpemu.machine.memory_layout import NODES, Layout
        from qmpemu.machine.qom import Object

        region = Object("memory-region")
        region.properties |= {"container": "link<memory-region>"}
        region.properties |= {"addr": "uint64", "size": "uint64", "priority": "uint32"}
        region.values |= {"size": made.values["size"], "priority": 0}

        def address() -> int | None:
            """Its address among what was plugged in."""
            ranges = self._machine.devices.memory.ranges
            return next((ranges[user][0] for user in made.users if user in ranges), None)

        before = self._bytes_before(str(made.given["id"]))
        if before is not None:
            region.values |= {"container": NODES, "addr": before}
            return region
        start = 0 if self._machine.config.family == "none" else Layout(self._machine.config).plugged_at
        region.getters["container"] = lambda: "" if address() is None else PLUGGED
        region.getters["addr"] = lambda: (address() or start) - start
        return region
