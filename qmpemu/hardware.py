"""What buses and firmware tell the software of a machine about its devices: an inventory, taken when it is asked for.

    machine.inventory ──fills──> Hardware ──Platform.hardware()──> guest

Devices come and go, so nobody keeps one: a guest asks again each time.
"""

from __future__ import annotations


class PciAddress:
    """Where a PCI function is, as the guest numbers buses."""

    __slots__ = ("bus", "domain", "function", "slot")

    def __init__(self, domain: int, bus: int, slot: int, function: int) -> None:
        self.domain = domain
        self.bus = bus
        self.slot = slot
        self.function = function


class DiskDrive:
    """One drive. bus: virtio, scsi, ide, sata, usb, nvme, fdc. size_bytes: None for an empty tray.

    serial: empty where none is set. channel, target, unit: of a bus that has them. pci: of its controller, or of
    itself for one that is a PCI function.
    """

    __slots__ = ("bus", "channel", "optical", "pci", "serial", "size_bytes", "target", "unit")

    def __init__(
        self,
        bus: str,
        *,
        optical: bool = False,
        size_bytes: int | None = None,
        serial: str = "",
        pci: PciAddress | None = None,
        channel: int = 0,
        target: int = 0,
        unit: int = 0,
    ) -> None:
        self.bus = bus
        self.optical = optical
        self.size_bytes = size_bytes
        self.serial = serial
        self.pci = pci
        self.channel = channel
        self.target = target
        self.unit = unit


class Nic:
    """One network adapter. network: the back end's kind (`user`, `tap`, ...), empty without one."""

    __slots__ = ("driver", "link_up", "mac", "network")

    def __init__(self, driver: str, mac: str, network: str = "", *, link_up: bool = True) -> None:
        self.driver = driver
        self.mac = mac
        self.network = network
        self.link_up = link_up


class Hardware:
    """All of it. pci_ids: vendor and device of each PCI function that was added. uefi: whether firmware is UEFI."""

    __slots__ = ("disks", "memory_bytes", "nics", "pci_ids", "processors", "uefi")

    def __init__(
        self,
        *,
        disks: tuple[DiskDrive, ...] = (),
        nics: tuple[Nic, ...] = (),
        pci_ids: tuple[tuple[int, int], ...] = (),
        processors: int = 1,
        memory_bytes: int = 0,
        uefi: bool = False,
    ) -> None:
        self.disks = disks
        self.nics = nics
        self.pci_ids = pci_ids
        self.processors = processors
        self.memory_bytes = memory_bytes
        self.uefi = uefi


DEFAULT_DISK_BYTES = 64 << 30


def plain() -> Hardware:
    """A machine that nobody described: one IDE disk, no network, one processor."""
    disk = DiskDrive("ide", size_bytes=DEFAULT_DISK_BYTES, serial="QM00001", pci=PciAddress(0, 0, 1, 1))
    return Hardware(disks=(disk,))
