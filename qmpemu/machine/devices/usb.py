"""USB devices: what they call themselves, and the speeds at which they and the ports of controllers work (measured)."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.bus import Bus
    from qmpemu.machine.devices.table import Device

LOW, FULL, HIGH, SUPER = "1.5", "12", "480", "5000"
"""Mb/s."""
NAMES = {FULL: "full", HIGH: "high", SUPER: "super"}
PRODUCTS = {
    "usb-tablet": ("QEMU USB Tablet", (FULL, HIGH)),
    "usb-mouse": ("QEMU USB Mouse", (FULL, HIGH)),
    "usb-kbd": ("QEMU USB Keyboard", (FULL, HIGH)),
    "usb-hub": ("QEMU USB Hub", (FULL,)),
    "usb-storage": ("QEMU USB MSD", (FULL, HIGH, SUPER)),
    "usb-bot": ("QEMU USB MSD", (FULL, HIGH, SUPER)),
    "usb-uas": ("USB Attached SCSI HBA", (HIGH, SUPER)),
    "usb-mtp": ("QEMU USB MTP", (FULL, HIGH)),
    "usb-serial": ("QEMU USB Serial", (FULL,)),
    "usb-braille": ("QEMU USB Braille", (FULL,)),
    "usb-wacom-tablet": ("QEMU PenPartner Tablet", (FULL,)),
    "usb-ccid": ("QEMU USB CCID", (FULL,)),
    "usb-audio": ("QEMU USB Audio Interface", (FULL,)),
    "usb-net": ("QEMU USB Network Interface", (FULL,)),
}
"""Driver -> the name that it tells, and its speeds."""
UNATTACHED = {"usb-redir": "USB Redirection Device", "usb-host": "USB Host Device"}
"""Drivers of devices that are elsewhere: until one is there, nothing is attached to the port."""
COMPANION_PORTS = 2


def product(device: Device) -> str | None:
    """The name that it tells; None for one that is not known."""
    known = PRODUCTS.get(device.kind)
    return known[0] if known is not None else UNATTACHED.get(device.kind)


def speed(bus: Bus, device: Device) -> str:
    """At which it works, in Mb/s: the highest that its port has, too."""
    if device.kind in UNATTACHED:
        return LOW
    _, own = PRODUCTS[device.kind]
    common = [each for each in own if each in _port(bus, str(device.place))]
    return common[-1] if common else LOW


def check(bus: Bus, device: Device) -> None:
    """Whether it works at its port. Raises Refused."""
    port = str(device.place)
    known = PRODUCTS.get(device.kind)
    if known is None:
        return
    name, own = known
    offered = _port(bus, port)
    if not any(each in offered for each in own):
        raise Refused(
            f'Warning: speed mismatch trying to attach usb device "{name}" ({_named(own)}) '
            f'to bus "{bus.name}", port "{port}" ({_named(offered)})'
        )


def takes_hub(bus: Bus) -> bool:
    """Whether a hub works at the next free port."""
    return FULL in _port(bus, bus.ports_left()[0])


def _named(speeds: tuple[str, ...]) -> str:
    return f"{'+'.join(NAMES[each] for each in speeds)} speed"


def _port(bus: Bus, port: str) -> tuple[str, ...]:
    """The speeds of a port."""
    if "." in port:
        return (FULL,)  # of a hub
    owner, number = bus.owner, int(port)
    if owner is None or "hci" not in owner.kind or "uhci" in owner.kind or "ohci" in owner.kind:
        return (FULL,)
    if "xhci" in owner.kind:
        counts = count_ports(owner)
        return (*((FULL, HIGH) if number <= counts[0] else ()), *((SUPER,) if number <= counts[1] else ()))
    for each in bus.companions:
        first = int(str(each.values.get("firstport", 0)))
        if first < number <= first + COMPANION_PORTS:
            return (FULL, HIGH)
    return (HIGH,)


def count_ports(controller: Device) -> tuple[int, int]:
    """Of an xHCI: its ports for USB 2 and for USB 3, which share their numbers from 1 on."""
    recorded = controller.recorded.objects[""]["values"] if controller.recorded is not None else {}
    values = {**recorded, **controller.values}
    return int(values["p2"]), int(values["p3"])


def no_free_ports(device: Device) -> Refused:
    """The error of a bus that has no room."""
    return Refused(f"tried to attach usb device {product(device) or device.kind} to a bus with no free ports")
