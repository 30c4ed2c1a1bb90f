"""The devices of a machine, by id: plugging one in, at the start or at run time, and taking one out.

    device_add ──> type, bus, id, options, back ends, place ──> DeviceAdded
    device_del ──> bus without the guest's say (USB, SCSI, virtio-serial) ─────────────────> DeviceRemoved
              └──> PCI, processors, memory: the guest is asked (`hotplug`) ──ejects──> DeviceRemoved
                                                                          └──refuses──> DeviceUnplugRefused

Checks and their order as QEMU 7.2's (measured). Asked again, a guest that has not answered is asked again for memory,
and for a PCI device once time has passed; for a processor that is refused.
"""

from __future__ import annotations

from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.machine.devices import expander, memory, options, processors
from qmpemu.machine.devices.bus import EXPANDERS, PCI_KINDS, Bus
from qmpemu.machine.devices.catalog import CPU_SUFFIX, RECORDED_ID, Catalog, Kind, Listed, Recorded
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from qmpemu.machine.devices.acpi_hotplug import AcpiHotplug
    from qmpemu.machine.devices.compat import Compat
    from qmpemu.machine.devices.globals import Globals

    class Backends(Protocol):
        """What a device is joined with on the host's side; every call may refuse."""

        def join(self, device: Device, about: Recorded | Listed | None) -> None:
            """Look up and take what the options name: drive, netdev, chardev, objects."""

        def check_processor(self, device: Device) -> None:
            """Whether processors have the properties that it is given."""

        def realize(self, device: Device) -> None:
            """Take the rest, once the device has its place."""

        def part(self, device: Device) -> None:
            """Release it all."""


PERIPHERAL, ANONYMOUS = "/machine/peripheral", "/machine/peripheral-anon"


class DeviceAdded(Fact):
    """A device was plugged in at run time."""

    id: str | None
    driver: str


class DeviceUnplugRequested(Fact):
    """The guest was asked to let a device go."""

    id: str | None


class DeviceRemoved(Fact):
    """A device is gone (QMP event DEVICE_DELETED); id None for a part of another device."""

    id: str | None
    path: str


class DeviceUnplugRefused(Fact):
    """The guest does not let a device go (QMP event DEVICE_UNPLUG_GUEST_ERROR)."""

    id: str | None
    path: str


class Device:
    """One device. kind: type name. values: given options as property values. place: where on its bus."""

    __slots__ = (
        "alias",
        "asked_ns",
        "bus",
        "buses",
        "child",
        "granule",
        "hotplugged",
        "id",
        "kind",
        "path",
        "place",
        "pluggable",
        "recorded",
        "values",
    )

    def __init__(self, kind: str, identity: str | None, path: str, *, hotplugged: bool) -> None:
        self.kind = kind
        self.id = identity
        self.path = path
        self.alias = ""
        """By what query-pci tells of it where it has no id."""
        self.hotplugged = hotplugged
        self.values: dict[str, Any] = {}
        self.place: object = None
        self.pluggable = True
        """Whether such a device can be plugged in at run time."""
        self.bus: Bus | None = None
        self.child = 0
        """Its number among all that its bus ever had."""
        self.granule = memory.PAGE
        """What the size of memory behind it is a multiple of, in bytes."""
        self.buses: list[Bus] = []
        self.recorded: Recorded | None = None
        self.asked_ns: int | None = None
        """When the guest was last asked to let it go."""

    def renamed(self, path: str) -> str:
        """A path within the recorded device as one within this: buses are named after the device."""
        if self.id is not None:
            return path.replace(f"/{RECORDED_ID}", f"/{self.id}")
        for bus in self.buses:
            path = path.replace(f"/{bus.recorded}", f"/{bus.name}")
        return path


class Devices:
    """All devices of one machine. family: as in `MachineConfig`."""

    def __init__(self, catalog: Catalog, board: Callable[[], list[Bus]], backends: Backends) -> None:
        self.catalog = catalog
        self.processors = processors.Slots()
        self.memory = memory.Slots()
        self._backends = backends
        self._board = board
        self._board_buses: list[Bus] | None = None
        self._anonymous = 0
        self._named_buses: dict[str, int] = {}
        """How many buses of a kind have got names of their own, since their devices have no ids."""
        self.next_unattached: Callable[[str], str] = str
        """Where the board's next own device stands, behind the one that is to stand at a path."""
        self.on_hub: Callable[[Device], object] = _unheard
        """A hub was made where ports ran out."""
        self.held: Callable[[], bool] = bool
        """Whether they are to stay as they are: the guest is being moved."""
        self.nodes = 0
        """How many NUMA nodes there are."""
        self.globals: Globals | None = None
        """What their properties are unless they say otherwise; None where nothing was said."""
        self.compat: Compat | None = None
        """What they are in an older machine type; None in the newest."""
        self.find_acpi: Callable[[], AcpiHotplug]
        """Which buses are ACPI's to plug."""
        self.all: list[Device] = []

    # --- finding ------------------------------------------------------------------------------------------------

    @property
    def board_buses(self) -> list[Bus]:
        """The buses of the machine itself, read from its recorded tree at first need."""
        if self._board_buses is None:
            self._board_buses = self._board()
        return self._board_buses

    def named(self, identity: str) -> Device | None:
        """The device of that id."""
        return next((device for device in self.all if device.id == identity), None)

    def at(self, id_or_path: str) -> Device | None:
        """The device that device_del means, if there is one."""
        path = id_or_path if id_or_path.startswith("/") else f"{PERIPHERAL}/{id_or_path}"
        return next((device for device in self.all if device.path == path), None)

    def of_kind(self, start: str) -> Iterator[Device]:
        """Devices whose type begins so."""
        return (device for device in self.all if device.kind.startswith(start))

    # --- plugging in --------------------------------------------------------------------------------------------

    def add(self, given: dict[str, object], *, running: bool, path: str = "") -> Device:
        """Plug in what `given` describes (`driver` and options). Raises Refused or QmpError, nothing changed.

        path: where it stands, if the board makes it.
        """
        kind = self.catalog.kind(str(given["driver"]), running=running)
        bus = self._bus(kind, given.get("bus"))
        if running:
            _check_pluggable(kind, bus)
        if running and self.held():
            raise Refused("device_add not allowed while migrating")
        identity = given.get("id") if isinstance(given.get("id"), str) else None
        if identity is not None and self.named(str(identity)) is not None:
            raise Refused(f"Duplicate device ID '{identity}'")
        self._chain_hub(kind, bus, given, path)
        device = Device(kind.name, identity if identity is None else str(identity), "", hotplugged=running)
        device.path = path or self._path(device)
        device.pluggable = kind.pluggable
        about = self._configure(device, kind, given)
        device.bus = bus
        self._realize(device, about)
        device.buses = self._own_buses(device)
        self.all.append(device)
        if device.kind == "pxb":
            expander.bridge(device, self)
        return device

    def _chain_hub(self, kind: Kind, bus: Bus | None, given: dict[str, object], path: str) -> None:
        """A hub comes onto the last free port of a USB bus, and what was to go there onto the hub."""
        if bus is None or bus.kind != "usb-bus" or kind.name == "usb-hub" or "port" in given:
            return
        if len(bus.ports_left()) != 1:
            return
        from qmpemu.machine.devices import usb  # here, since many machines have none

        if usb.takes_hub(bus):
            hub: dict[str, object] = {"driver": "usb-hub", "bus": bus.name}
            self.on_hub(self.add(hub, running=False, path=self.next_unattached(path)))

    def _configure(self, device: Device, kind: Kind, given: dict[str, object]) -> Recorded | Listed | None:
        about: Recorded | Listed | None = None
        if not device.kind.endswith(CPU_SUFFIX):
            device.recorded = self.catalog.recorded(device.kind)
            about = device.recorded or self.catalog.listed(kind)
        if about is None:
            device.values = {
                name: value for name, value in given.items() if name not in options.NOT_PROPERTIES
            }
        else:
            device.values = options.values(about, given)
            if self.globals is not None:
                device.values = self.globals.of(about, running=device.hotplugged) | device.values
            if self.compat is not None:
                device.values = self.compat.of_new(about) | device.values
            options.set_queues(device.kind, device.values, self.processors.started)
            if about.has("mac"):
                device.values["mac"] = options.address(device.values.get("mac"), self.all)
        return about

    def _realize(self, device: Device, about: Recorded | Listed | None) -> None:
        """Take a place and what the options name, or nothing at all."""
        if device.kind.endswith(CPU_SUFFIX):
            self._backends.check_processor(device)
            device.place = self.processors.plug(device)
            return
        expander.check(device, self)
        self._backends.join(device, about)
        try:
            if device.bus is not None:
                device.place = device.bus.place(device)
            self._backends.realize(device)
            if device.bus is not None and device.bus.kind == "usb-bus":
                from qmpemu.machine.devices import usb

                usb.check(device.bus, device)
            if device.kind in memory.VIRTIO:
                self.memory.plug_virtio(device)
            elif device.kind in memory.DRIVERS and device.bus is None:
                device.place = self.memory.plug(device)
        except Exception:
            if device.bus is not None:
                device.bus.leave(device)
            self._backends.part(device)
            raise

    def _path(self, device: Device) -> str:
        if device.id is not None:
            return f"{PERIPHERAL}/{device.id}"
        number, self._anonymous = self._anonymous, self._anonymous + 1
        return f"{ANONYMOUS}/device[{number}]"

    def _own_buses(self, device: Device) -> list[Bus]:
        """The buses that come with it, named after it; a companion controller drives another one's."""
        if device.kind in EXPANDERS:
            return expander.made(device, self, self.next_unattached)
        if device.recorded is None:
            return []
        if "masterbus" in device.values:
            self._join_master(device)
            return []
        made: list[Bus] = []
        for path, about in device.recorded.objects.items():
            if not any(name == "hotplug-handler" for name, _ in about["rows"]):
                continue
            kind, handler = about["values"]["type"], about["values"]["hotplug-handler"]
            if kind in PCI_KINDS:
                handler = self.find_acpi().handler(device)
            above, _, recorded = path.rpartition("/")
            name = self._bus_name(device, recorded, kind)
            made.append(Bus(name, kind, f"{device.path}{above}/{name}", handler, device))
            made[-1].recorded = recorded
        return made

    def _join_master(self, device: Device) -> None:
        """A companion controller drives ports of another one's bus."""
        for each in self.all:
            for bus in each.buses:
                if bus.name == device.values["masterbus"]:
                    bus.companions.append(device)

    def _bus_name(self, device: Device, recorded: str, kind: str) -> str:
        if not recorded.startswith(RECORDED_ID):
            return recorded
        if device.id is not None:
            return recorded.replace(RECORDED_ID, device.id)
        if kind == "PCI" and kind not in self._named_buses:
            self._named_buses[kind] = sum(bus.name == "pci.0" for bus in self.board_buses)
        count = self._named_buses.get(kind, 0)
        self._named_buses[kind] = count + 1
        return f"{kind.lower()}.{count}"

    def _bus(self, kind: Kind, name: object) -> Bus | None:
        """The bus that is named, or else found. Raises Refused."""
        if isinstance(name, Bus):
            return name
        if name is not None:
            if str(name).startswith(
                "/"
            ):  # a path of devices from the root of all buses, which clients do not use
                raise device_not_found(str(name).split("/")[1])
            found = next((bus for bus in self._buses() if bus.name == str(name)), None)
            if found is None:
                raise Refused(f"Bus '{name}' not found")
            if kind.bus is None or not found.fits(kind.bus):
                raise Refused(f"Device '{kind.name}' can't go on {found.kind} bus")
            return found
        if kind.bus is None or kind.bus == "System":
            return None
        for bus in self._buses():
            if bus.fits(kind.bus) and not bus.is_full:
                return bus
        raise Refused(f"No '{kind.bus}' bus found for device '{kind.name}'")

    def _buses(self) -> Iterator[Bus]:
        """In QEMU's order of search: the root bus first, then what came last."""
        yield from (bus for each in reversed(self.all) if each.kind in EXPANDERS for bus in each.buses)
        yield from (bus for bus in self.board_buses if bus.is_pci)
        for device in reversed(self.all):
            yield from reversed(device.buses)
        yield from (bus for bus in reversed(self.board_buses) if not bus.is_pci)

    # --- taking out ---------------------------------------------------------------------------------------------

    def check_removable(self, device: Device, named: str, now_ns: int) -> None:
        """Whether the device, as a client names it, can be asked to go now. Raises Refused."""
        from qmpemu.machine.devices import acpi_hotplug

        if device.asked_ns is not None and acpi_hotplug.waits(device, now_ns - device.asked_ns):
            raise Refused(f"Device {named} is already in the process of unplug")
        if device.bus is not None and not device.bus.hotplug:
            raise Refused(f"Bus '{device.bus.name}' does not support hotplugging")
        if self.held():
            raise Refused("device_del not allowed while migrating")
        if device.kind in memory.VIRTIO:
            raise Refused("virtio based memory devices cannot be unplugged.")
        if device.kind == "nvdimm":
            raise Refused("nvdimm device hot unplug is not supported yet.")

    def remove(self, device: Device) -> list[tuple[str | None, str]]:
        """Take a device out, and what is plugged into it before. -> id and path of all that went, in order."""
        if device not in self.all:
            return []
        gone: list[tuple[str | None, str]] = []
        for child in self._below(device):
            gone += self.remove(child)
        if device.recorded is not None:
            gone += [(None, device.path + device.renamed(path)) for path in device.recorded.nested()]
        self.all.remove(device)
        if device.bus is not None:
            device.bus.leave(device)
        self.processors.unplug(device)
        self.memory.unplug(device)
        self._backends.part(device)
        return [*gone, (device.id, device.path)]

    def _below(self, device: Device) -> list[Device]:
        """Devices on its buses; of a hub those on its ports, which belong to the same bus."""
        found = [child for bus in device.buses for child in reversed(bus.devices)]
        if device.kind == "usb-hub" and device.bus is not None:
            behind = [each for each in device.bus.devices if str(each.place).startswith(f"{device.place}.")]
            found += sorted(behind, key=lambda each: str(each.place))
        return found


def _check_pluggable(kind: Kind, bus: Bus | None) -> None:
    """Whether such a device can be plugged in at run time. Raises Refused."""
    if bus is not None and (not bus.hotplug or bus.is_pci):
        from qmpemu.machine.devices.acpi_hotplug import why_not

        why = why_not(bus)
        if why is not None:
            raise Refused(why)
    if kind.bus == "System":
        raise Refused("Bus 'main-system-bus' does not support hotplugging")
    if bus is None and kind.name not in memory.DRIVERS and not kind.name.endswith(CPU_SUFFIX):
        raise Refused(f"Device '{kind.name}' can not be hotplugged on this machine")


def _unheard(_: Device) -> None:
    """Nobody shows it."""
