"""A device or user-created object as part of the object tree: the recorded one of its type, with its own values."""

from __future__ import annotations

from qmpemu.machine.devices import old_layouts, virtio_modes
from qmpemu.machine.devices.acpi_hotplug import BOARD
from qmpemu.machine.devices.adapter_memory import BEHIND_BYTES
from qmpemu.machine.devices.bus import EXPANDERS
from qmpemu.machine.devices.catalog import HOME, RECORDED_ID, VIRTIO_BACKEND
from qmpemu.machine.devices.regions import QXL, qxl_sizes, rounded, vectors_size
from qmpemu.machine.devices.table import PERIPHERAL
from qmpemu.machine.qom import Object
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.devices.bus import Bus
    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.devices.table import Device, Devices

LEGACY_PORTS = "virtio-pci[1]"
"""The I/O ports of virtio's old protocol, where a device has them."""


BOARD_WINDOWS = {
    "/machine/unattached/pci[0]": "pci_bridge_pci[0]",
    "/machine/unattached/io[0]": "pci_bridge_io[0]",
}
"""What a bridge's windows are in -> what they are in behind another bridge."""
VIDEO_MEMORY = frozenset(("/vga.vram[0]", "/cirrus-linear-io[0]"))
PORT_REGION, FIRST_PORT, PORT_BYTES = "/xhci-core/usb{} port #{}[0]", 0x440, 16


def device(shown: Device, around: Around) -> Object:
    """The device with everything below it."""
    if shown.recorded is None:
        return _unrecorded(shown)
    made: dict[str, Object] = {}
    modern_only = _is_modern_only(shown)
    for path, about in shown.recorded.objects.items():
        if _is_left_out(shown, path):
            continue
        if modern_only and path == f"/{LEGACY_PORTS}":
            continue
        made[path] = _recorded(shown, about)
        rows = (name for name, _ in about["rows"] if not (modern_only and name == LEGACY_PORTS))
        made[path].order = [shown.renamed(f"/{name}")[1:] for name in rows]
    if shown.kind.endswith("-xhci"):
        _fit_ports(shown, made)
    old_layouts.fit(shown, made)
    if "vgamem_mb" in shown.values and shown.kind not in QXL:
        for path in VIDEO_MEMORY & made.keys():
            made[path].values["size"] = rounded(int(str(shown.values["vgamem_mb"])) << 20)
    for path, each in made.items():
        parent, _, name = path.rpartition("/")
        if path:
            made[parent].children[shown.renamed(f"/{name}")[1:]] = each
    top = made[""]
    own = _own_values(shown)
    top.values.update(own)
    if modern_only:
        top.values["disable-legacy"] = "on"
    behind = made.get(VIRTIO_BACKEND)
    if behind is not None:
        kept = ("parent_bus", "hotpluggable")
        behind.values.update(
            {name: value for name, value in own.items() if name in behind.properties and name not in kept}
        )
        behind.values.update(hotplugged=shown.hotplugged)
        behind.values["type"] = behind.type_name
    if has_no_rom(shown) and "romsize" in top.properties:
        top.values["romsize"] = NO_SIZE
    if shown.kind == "nvme" and "drive" not in shown.values:
        top.values.update(NO_DISK)
    if shown.kind in QXL:
        top.values.update(qxl_sizes(shown.values))
    _fit_vectors(shown, made)
    if shown.values.get("serial") and "device_id" in top.properties and "device_id" not in shown.values:
        top.values["device_id"] = shown.values["serial"]
    if shown.kind == "usb-storage":
        _fit_disk(shown, made)
    line = made.get("/serial")
    if line is not None and "chardev" in shown.values:
        line.values["chardev"] = shown.values["chardev"]
    for bus in shown.buses:
        for path, each in made.items():
            if path.endswith(f"/{bus.recorded}") and "hotplug-handler" in each.properties:
                around.fit(bus, each)
    if "serial" in top.properties and "serial" not in shown.values and bus_number(shown) is not None:
        top.values["serial"] = f"QM{around.first_unit(shown) + (bus_number(shown) or 0) + 1:05}"
    return top


VECTOR_BYTES, VECTORS_APART, VECTORS_PAGE = 16, 2048, 4096
"""Of the region that a virtio function has for its interrupt vectors."""
OF_DISK = ("drive", "serial", "removable", "share-rw")
"""Options of a USB disk that are those of the SCSI disk within."""


def _fit_vectors(shown: Device, made: dict[str, Object]) -> None:
    """The regions for interrupt vectors, by their number."""
    count = shown.values.get("vectors")
    if not shown.kind.startswith("virtio") or "/msix-table[0]" not in made or not isinstance(count, int):
        return
    made["/msix-table[0]"].values["size"] = count * VECTOR_BYTES
    made["/msix-pba[0]"].values.update(
        {"addr": max(VECTORS_APART, count * VECTOR_BYTES), "size": (count + 63) // 64 * 8}
    )
    for path, each in made.items():
        if path.endswith("-msix[0]"):
            each.values["size"] = vectors_size(count)


def _fit_disk(shown: Device, made: dict[str, Object]) -> None:
    """The SCSI disk within a USB disk, which takes the drive over."""
    for path, each in made.items():
        if path.endswith("/legacy[0]"):
            each.values.update({name: shown.values[name] for name in OF_DISK if name in shown.values})
            if shown.values.get("serial"):
                each.values["device_id"] = shown.values["serial"]
    made[""].values["drive"] = ""


NO_SIZE = 0xFFFF_FFFF
NO_DISK = {"drive": "", "physical_block_size": 0, "logical_block_size": 0, "discard_granularity": NO_SIZE}
"""Of a controller whose disks are devices of their own."""


def has_no_rom(shown: Device) -> bool:
    """Whether the options leave the expansion ROM out."""
    return shown.values.get("romfile") == "" or shown.values.get("rombar") in (0, "0")


class Around:
    """What of a machine a device shows: who handles hot plugging, and how its buses are numbered for that.

    handler: the board's, a path. first: the number of units of the board's own disk controller.
    """

    __slots__ = ("_devices", "_first", "_handler", "_numbers")

    def __init__(self, devices: Devices, handler: str, first: int) -> None:
        self._devices = devices
        self._handler = handler
        self._first = first
        self._numbers = _numbered(devices) if devices.find_acpi().counts else {}

    def fit(self, bus: Bus, shown: Object) -> None:
        """A bus as it is here."""
        if bus.is_pci:
            shown.values["hotplug-handler"] = self._handler if bus.hotplug.startswith(BOARD) else bus.hotplug
        if "acpi-pcihp-bsel" not in shown.properties:
            return
        number = self._numbers.get(bus)
        if number is None:
            del shown.properties["acpi-pcihp-bsel"], shown.values["acpi-pcihp-bsel"]
        else:
            shown.values["acpi-pcihp-bsel"] = number

    def first_unit(self, disk: Device) -> int:
        """How many units of IDE disks stand before those of the disk's controller."""
        owner = disk.bus.owner if disk.bus is not None else None
        if owner is None:
            return 0
        before = self._devices.all[: self._devices.all.index(owner)]
        return self._first + sum(AHCI_UNITS for each in before if "ahci" in each.kind)


AHCI_UNITS = 12


def bus_number(disk: Device) -> int | None:
    """The number of an IDE disk among the units of its controller, each port having two."""
    if not disk.kind.startswith(("ide-hd", "ide-cd", "ide-cf")) or disk.bus is None:
        return None
    return int(disk.bus.name.rpartition(".")[2]) * 2 + int(disk.values.get("unit", 0))


def _numbered(devices: Devices) -> dict[Bus, int]:
    """PCI buses on which a guest is told of devices by ACPI, numbered as QEMU does: each before those behind it."""
    found: dict[Bus, int] = {}

    def visit(bus: Bus) -> None:
        if bus.hotplug:
            found[bus] = len(found)
        for each in reversed(bus.devices):
            for behind in each.buses if not each.hotplugged else ():
                if behind.is_pci and behind.owner is each:
                    visit(behind)

    for root in devices.board_buses:
        if root.is_pci:
            visit(root)
    return found


def _fit_ports(shown: Device, made: dict[str, Object]) -> None:
    """The registers of a USB controller's ports, as many as it has."""
    values = {**made[""].values, **shown.values}
    counts = {3: int(str(values.get("p3", 4))), 2: int(str(values.get("p2", 4)))}
    pattern = made.get(PORT_REGION.format(2, 1))
    for path in [path for path in made if path.startswith("/xhci-core/usb") and " port #" in path]:
        del made[path]
    if pattern is None:
        return
    address = FIRST_PORT
    for side, count in counts.items():
        for number in range(1, count + 1):
            region = made[PORT_REGION.format(side, number)] = Object(pattern.type_name)
            region.properties, region.order = dict(pattern.properties), pattern.order
            region.values = {**pattern.values, "addr": address}
            address += PORT_BYTES
    core = made.get("/xhci-core")
    if core is not None:
        core.values.update({f"p{side}": count for side, count in counts.items()})
        core.order = [name for name in core.order or () if " port #" not in name]


def _is_left_out(shown: Device, path: str) -> bool:
    """Whether its options take a part of the recorded device away."""
    if path == f"/{RECORDED_ID}.0" and "masterbus" in shown.values:
        return True
    if path == f"{VIRTIO_BACKEND}/default-backend" and "rng" in shown.values:
        return True
    if old_layouts.is_left_out(shown, path):
        return True
    if path.endswith(".rom[0]") and has_no_rom(shown):
        return True
    if path.startswith("/shpc-") and shown.values.get("shpc") is False:
        return True
    vectors = path.startswith("/msix-") or path.endswith("-msix[0]")
    return vectors and shown.values.get("vectors") == 0


def _is_modern_only(shown: Device) -> bool:
    """Whether a virtio device offers the old protocol no more: behind a PCI Express port, unless told otherwise."""
    knows = shown.recorded is not None and "disable-legacy" in shown.recorded.kinds()
    return knows and not virtio_modes.offers_old(shown)


def user_object(made: UserObject) -> Object:
    """An object of /objects. Its values are the object's own: what is set in the tree is set there."""
    shown = Object(made.kind)
    shown.properties = {n: k for n, k in made.properties.items() if not k.startswith("child<")}
    shown.order = list(made.properties)
    shown.values = made.values
    shown.unreadable = made.errors
    shown.writable = frozenset(shown.properties) - {"type"} if made.kind == "iothread" else frozenset()
    return shown


def _recorded(shown: Device, about: dict[str, Any]) -> Object:
    made = Object(str(about["values"]["type"]))
    made.properties = {name: kind for name, kind in about["rows"] if not kind.startswith("child<")}
    made.values = {name: _here(shown, as_inserted(value)) for name, value in about["values"].items()}
    made.unreadable = about["errors"]
    return made


def _here(shown: Device, value: object) -> object:
    """A recorded value, its paths within the device being those of this one."""
    if not isinstance(value, str) or value[:1] != "/":
        return value
    if value == HOME or value.startswith(f"{HOME}/"):
        return shown.path + shown.renamed(value[len(HOME) :])
    owner = shown.bus.owner if shown.bus is not None else None
    if owner is None or owner.kind in EXPANDERS or value not in BOARD_WINDOWS:
        return value
    return f"{owner.path}/{BOARD_WINDOWS[value]}"


def _own_values(shown: Device) -> dict[str, object]:
    """What differs from the recorded device."""
    values: dict[str, object] = dict(shown.values)
    bus = shown.bus
    values["hotplugged"] = shown.hotplugged
    values["hotpluggable"] = shown.pluggable and (bus is None or bool(bus.hotplug))
    if is_on_board(shown):
        values["hotpluggable"] = False
    if bus is not None:
        values["parent_bus"] = bus.path
    if bus is not None and bus.is_pci and isinstance(shown.place, int):
        slot, function = divmod(shown.place, 8)
        values.update({"addr": shown.place, "legacy-addr": f"{slot:02x}.{function:x}"})
        if shown.kind in SAS_CONTROLLERS and not shown.values.get(SAS):
            values[SAS] = SAS_START | slot << 8 | function
    if shown.kind.startswith("virtio-blk") and shown.values.get("disable-modern") in virtio_modes.ON:
        values["any_layout"] = False  # which the old one does not have
    kinds = shown.recorded.kinds() if shown.recorded is not None else {}
    for name, kind in kinds.items():
        if kind.startswith("link<") and name in shown.values:
            home = next((path for start, path in LINKED.items() if kind[5:].startswith(start)), "/objects")
            values[name] = f"{home}/{str(shown.values[name]).rpartition('/')[2]}"
    return values


SAS, SAS_CONTROLLERS = "sas_address", ("megasas", "megasas-gen2", "mptsas1068")
SAS_START = 0x35254 << 44
"""What a controller's address begins with; its place follows."""
LINKED = {"ipmi-bmc": PERIPHERAL, "nvme-subsys": PERIPHERAL}
"""Types of links that name devices; others name user objects."""


def is_on_board(shown: Device) -> bool:
    """Whether it is on the board's own bus, on which everything else is."""
    known = shown.bus is None and shown.recorded is not None
    return known and shown.recorded.objects[""]["values"].get("parent_bus") == MAIN_BUS  # type: ignore[union-attr]


MAIN_BUS = "/machine/unattached/sysbus"


def _unrecorded(shown: Device) -> Object:
    """A device of which nothing was recorded: what was given is all that is known."""
    made = Object(shown.kind)
    made.properties.update(
        {
            "realized": "bool",
            "hotplugged": "bool",
            "hotpluggable": "bool",
            **dict.fromkeys(shown.values, "str"),
        }
    )
    made.values.update(realized=True, hotplugged=shown.hotplugged, hotpluggable=True)
    made.values.update(shown.values)
    return made


def command_queue() -> Object:
    """The memory in which a vmware-svga is given its commands; it is the machine's, as far as the tree goes."""
    made = Object("memory-region")
    made.properties |= {
        "container": "link<memory-region>",
        "addr": "uint64",
        "size": "uint64",
        "priority": "uint32",
    }
    made.values |= {"container": "", "addr": 0, "size": BEHIND_BYTES["vmware-svga"], "priority": 0}
    made.order = [*made.properties]
    return made
