"""Buses and the places on them: a PCI slot, a USB port, a SCSI id, the number of a virtio-serial port.

A bus knows only which places are taken. Messages are QEMU 7.2's, measured.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device

EXPANDERS = {"pxb": "pxb-bus", "pxb-pcie": "pxb-pcie-bus", "pxb-cxl": "pxb-cxl-bus"}
"""Devices that bring a root bus of its own -> its kind."""
BRIDGES = frozenset(
    "pcie-root-port ioh3420 pxb-cxl cxl-rp pcie-pci-bridge pci-bridge pci-bridge-seat i82801b11-bridge".split()
)
"""What goes onto such a bus."""
EXPRESS_PORTS = frozenset("pcie-root-port ioh3420 xio3130-downstream cxl-rp".split())
"""PCI Express ports into which a device can be plugged: each is a slot of a chassis."""
PCI_KINDS = ("PCI", "PCIE", *EXPANDERS.values())
FUNCTIONS = 8
SLOTS = 32
SERIAL_PORTS = 31
"""Ports of a virtio-serial device when max_ports says nothing else; number 0 is a console's."""
IDE_UNITS = 2
SCSI_TARGETS, SCSI_LUNS = 255, 16383
"""The largest id and unit of a virtio SCSI controller."""
SCSI_LIMITS = {
    "lsi53c895a": (7, 0),
    "lsi53c810": (7, 0),
    "am53c974": (7, 7),
    "dc390": (7, 7),
    "mptsas1068": (8, 1),
    "megasas": (64, 255),
    "megasas-gen2": (64, 255),
    "pvscsi": (64, 0),
    "usb-bot": (0, 15),
    "usb-uas": (0, 255),
}
"""The same of other controllers, measured on QEMU 7.2. None has a second channel."""
HUB_PORTS = 8


class Bus:
    """One bus. kind: QOM type. hotplug: who handles plugging at run time (a path), empty where nobody can.

    taken: place -> the device there, or the name of one that belongs to the board.
    """

    __slots__ = (
        "children",
        "companions",
        "devices",
        "free_ports",
        "hotplug",
        "kind",
        "name",
        "number",
        "owner",
        "path",
        "recorded",
        "taken",
        "units",
    )

    def __init__(self, name: str, kind: str, path: str, hotplug: str, owner: Device | None) -> None:
        self.name = name
        self.kind = kind
        self.path = path
        self.hotplug = hotplug
        self.owner = owner
        self.taken: dict[object, Device | str] = {}
        self.devices: list[Device] = []
        self.free_ports: list[str] | None = None
        """Of a USB bus, in the order in which they are taken."""
        self.companions: list[Device] = []
        """Of an EHCI's bus: the controllers that drive slow devices on its ports."""
        self.recorded = name
        """The name that it had where its device was recorded."""
        self.units = 1 if owner is not None and "ahci" in owner.kind else IDE_UNITS
        """Of an IDE bus: how many drives it has room for."""
        self.number = 0
        """Of a PCI bus, once firmware has numbered it."""
        self.children = 0
        """How many devices were ever put on it, the board's own included: the number of the next `child[N]`."""

    @property
    def is_pci(self) -> bool:
        """Whether it is a PCI or PCI Express bus."""
        return self.kind in PCI_KINDS

    @property
    def asks_guest(self) -> bool:
        """Whether the guest has to let a device go before it can be taken out."""
        return self.is_pci

    def fits(self, kind: str) -> bool:
        """Whether a device that needs a bus of this kind can go here."""
        return kind == self.kind or (kind in PCI_KINDS and self.is_pci)

    @property
    def is_full(self) -> bool:
        """Whether QEMU passes it over when it looks for a bus by itself."""
        return self.kind == "IDE" and len(self.taken) >= (1 if self.name in AHCI_PORTS else 2)

    def place(self, device: Device) -> object:
        """The place for `device` by its options; it is the device's from now on. Raises Refused."""
        finder = _FINDERS.get("PCI" if self.is_pci else self.kind)
        found = finder(self, device) if finder is not None else None
        if found is not None:
            self.taken[found] = device
        self.devices.append(device)
        device.child = self.children
        self.children += 1
        return found

    def ports_left(self) -> list[str]:
        """The free ports of a USB bus, in the order in which they are taken."""
        if self.free_ports is None:
            self.free_ports = _root_ports(self)
        return self.free_ports

    @property
    def is_port(self) -> bool:
        """Whether it is what is behind a PCI Express port."""
        return self.owner is not None and self.kind == "PCIE"

    def leave(self, device: Device) -> None:
        """The device is gone."""
        if device not in self.devices:  # it has had no place
            return
        self.devices.remove(device)
        if self.free_ports is not None:  # what is free again is taken last
            ports = [str(place) for place, each in self.taken.items() if each is device]
            behind = tuple(f"{port}." for port in ports)
            self.free_ports = [port for port in self.free_ports if not port.startswith(behind)] + ports
        self.taken = {place: each for place, each in self.taken.items() if each is not device}


AHCI_PORTS = frozenset(f"ide.{number}" for number in range(2, 6))


def _pci(bus: Bus, device: Device) -> int:
    """devfn: slot * 8 + function."""
    asked = device.values.get("addr", -1)
    if asked in (-1, None):
        for slot in range(SLOTS):
            if not any(slot * FUNCTIONS + function in bus.taken for function in range(FUNCTIONS)):
                return slot * FUNCTIONS
        raise Refused(f"PCI: no slot/function available for {device.kind}, all in use or reserved")
    devfn = int(str(asked))
    slot, function = divmod(devfn, FUNCTIONS)
    there = bus.taken.get(devfn)
    if there is not None:
        name = f"{there},id=(null)" if isinstance(there, str) else f"{there.kind},id={there.id or '(null)'}"
        raise Refused(
            f"PCI: slot {slot} function {function} not available for {device.kind}, in use by {name}"
        )
    first = bus.taken.get(slot * FUNCTIONS)
    seen = bus.taken.get(0) if bus.is_port else first  # a port's guest looks at slot 0 alone
    if seen is not None and device.hotplugged:
        name = seen if isinstance(seen, str) else seen.kind
        raise Refused(
            f"PCI: slot {0 if bus.is_port else slot} function 0 already occupied by {name}, "
            f"new func {device.kind} cannot be exposed to guest."
        )
    if function and first is not None and not _has_functions(first):
        raise Refused(f"PCI: single function device can't be populated in function {slot:x}.{function:x}")
    return devfn


def _has_functions(first: Device | str) -> bool:
    """Whether a slot's function 0 says that there are others."""
    return first not in SINGLE if isinstance(first, str) else bool(first.values.get("multifunction"))


SINGLE = ("i440FX", "mch")
"""The board's devices that are alone in their slots."""


def _usb(bus: Bus, device: Device) -> str:
    ports = bus.ports_left()
    asked = device.values.get("port")
    if asked is not None and asked not in ports:
        raise Refused(f"usb port {asked} (bus {bus.name}) not found (in use?)")
    if not ports:
        from qmpemu.machine.devices.usb import no_free_ports

        raise no_free_ports(device)
    port = str(asked or ports[0])
    ports.remove(port)
    if device.kind == "usb-hub":
        ports += [f"{port}.{number + 1}" for number in range(HUB_PORTS)]
    return port


def _root_ports(bus: Bus) -> list[str]:
    """The ports of the controller: an xHCI has as many as its USB 2 or USB 3 side has."""
    owner = bus.owner
    if owner is None or owner.recorded is None:
        return []
    count = OTHER_PORTS.get(owner.kind, 2)
    if "xhci" in owner.kind:
        from qmpemu.machine.devices.usb import count_ports

        count = max(count_ports(owner))
    return [str(number + 1) for number in range(count)]


OTHER_PORTS = {"usb-ehci": 6, "ich9-usb-ehci1": 6}
"""Controllers that have no option for it; the companions of an EHCI drive its ports."""


def _scsi(bus: Bus, device: Device) -> tuple[int, int]:
    owner = bus.owner.kind if bus.owner is not None else ""
    last_target, last_lun = SCSI_LIMITS.get(owner, (SCSI_TARGETS, SCSI_LUNS))
    channel = int(device.values.get("channel", 0))
    target, lun = int(device.values.get("scsi-id", -1)), int(device.values.get("lun", -1))
    if channel > 0:
        raise Refused(f"bad scsi channel id: {channel}")
    if target > last_target:
        raise Refused(f"bad scsi device id: {target}")
    if lun > last_lun:
        raise Refused(f"bad scsi device lun: {lun}")
    if target < 0:
        lun = max(lun, 0)
        target = next((t for t in range(last_target + 1) if (t, lun) not in bus.taken), -1)
        if target < 0:
            raise Refused("no free target")
    elif lun < 0:
        lun = next((u for u in range(last_lun + 1) if (target, u) not in bus.taken), -1)
        if lun < 0:
            raise Refused("no free lun")
    there = bus.taken.get((target, lun))
    if there is not None and not isinstance(there, str):
        raise Refused(f"lun already used by '{there.id or '(null)'}'")
    device.values.update({"scsi-id": target, "lun": lun, "channel": channel})
    return target, lun


def _virtio_serial(bus: Bus, device: Device) -> int:
    options = bus.owner.values if bus.owner is not None else {}
    count = int(options.get("max_ports", SERIAL_PORTS))
    asked = device.values.get("nr", 0xFFFFFFFF)
    first = 0 if device.kind == "virtconsole" else 1
    if asked in (0xFFFFFFFF, None):
        free = [number for number in range(first, count) if number not in bus.taken]
        if not free:
            raise Refused("virtio-serial-bus: Maximum port limit for this device reached")
        device.values["nr"] = free[0]
        return free[0]
    number = int(str(asked))
    if not number and device.kind != "virtconsole":
        raise Refused(
            "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility."
        )
    if number in bus.taken:
        raise Refused(f"virtio-serial-bus: A port already exists at id {number}")
    if number >= count:
        raise Refused(f"virtio-serial-bus: Out-of-range port id specified, max. allowed: {count - 1}")
    return number


def _ide(bus: Bus, device: Device) -> int:
    asked = device.values.get("unit", 0xFFFFFFFF)
    units = tuple(range(bus.units))
    free = next((u for u in units if u not in bus.taken), 1)  # the second one, there or not, where none is
    unit = free if asked in (0xFFFFFFFF, None) else int(str(asked))
    if unit in bus.taken:
        raise Refused(f"IDE unit {unit} is in use")
    if unit not in units:
        raise Refused(f"Can't create IDE unit {unit}, bus supports only {bus.units} units")
    device.values["unit"] = unit
    return unit


def _hda(bus: Bus, device: Device) -> int:
    """The number of a codec: behind the latest, where none is given."""
    asked = int(str(device.values.get("cad", UNSET)))
    number = asked if asked != UNSET else int(bus.devices[-1].values["cad"]) + 1 if bus.devices else 0
    if number >= CODECS:
        raise Refused("HDA audio codec address is full")
    device.values["cad"] = number
    return number


UNSET, CODECS = 0xFFFF_FFFF, 15

_FINDERS = {
    "PCI": _pci,
    "usb-bus": _usb,
    "SCSI": _scsi,
    "virtio-serial-bus": _virtio_serial,
    "IDE": _ide,
    "HDA": _hda,
}
