"""What the machine's devices look like to its software (`hardware.Hardware`), read from the devices at each call.

Bus numbers are those that libvirt gives: the bus behind controller `pci.N` is N, as firmware numbers them too when
root ports stand in order.
"""

from __future__ import annotations

from qmpemu.hardware import DiskDrive, Hardware, Nic, PciAddress
from qmpemu.machine.block import DISK_DRIVERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block import Drive
    from qmpemu.machine.machine import Machine

    Device = dict[str, object]

VIRTIO_VENDOR = 0x1AF4
VIRTIO_IDS = {
    "virtio-net": (0x1041, 0x1000),
    "virtio-blk": (0x1042, 0x1001),
    "virtio-serial": (0x1043, 0x1003),
    "virtio-rng": (0x1044, 0x1005),
    "virtio-balloon": (0x1045, 0x1002),
    "virtio-scsi": (0x1048, 0x1004),
}
"""PCI device ids by driver: on PCI Express (modern), and on plain PCI (transitional)."""

NIC_DRIVERS = (
    "virtio-net-pci",
    "e1000",
    "e1000e",
    "rtl8139",
    "ne2k_pci",
    "pcnet",
    "vmxnet3",
    "usb-net",
    "igb",
)
FIRST_MAC = "52:54:00:12:34:"
"""QEMU's own addresses, for adapters that are given none: the last byte counts from 0x56."""
SATA_PCI, IDE_PCI = PciAddress(0, 0, 31, 2), PciAddress(0, 0, 1, 1)
"""The built-in disk controllers of q35 and pc."""


def hardware(machine: Machine) -> Hardware:
    """What is there now."""
    config = machine.config
    devices = {str(each["id"]): each for each in config.devices if "id" in each}
    return Hardware(
        disks=tuple(_disks(machine, devices)),
        nics=tuple(_nics(machine)),
        pci_ids=tuple(_pci_ids(config.devices)),
        processors=config.cpus,
        memory_bytes=config.memory_bytes,
        uefi=any("pflash" in name for name in machine.blocks.nodes),
    )


def _disks(machine: Machine, devices: dict[str, Device]) -> list[DiskDrive]:
    drives = {drive.qdev: drive for drive in machine.blocks.drives}
    found = []
    for device in machine.config.devices:
        driver, name = str(device["driver"]), str(device.get("id", ""))
        if driver in DISK_DRIVERS:
            drive = drives.get(name) or drives.get(f"/machine/peripheral/{name}/virtio-backend")
            found.append(_disk(machine, devices, device, drive))
    return found


def _disk(machine: Machine, devices: dict[str, Device], device: Device, drive: Drive | None) -> DiskDrive:
    driver = str(device["driver"])
    node = drive.node if drive is not None else None
    bus, pci, channel, target, unit = "scsi", None, 0, 0, 0
    if driver.startswith("virtio-blk") or driver == "nvme":
        bus, pci = ("nvme" if driver == "nvme" else "virtio"), pci_address(device)
    elif driver.startswith("scsi"):
        pci = pci_address(devices.get(_controller(device), {}))
        channel, target, unit = (_number(device.get(key)) for key in ("channel", "scsi-id", "lun"))
    elif driver.startswith("ide"):
        bus, pci, unit = _ide(machine, devices, device)
    else:
        bus = "usb" if driver == "usb-storage" else "fdc"
    return DiskDrive(
        bus,
        optical=DISK_DRIVERS[driver] and bus != "fdc",
        size_bytes=node.image.virtual_bytes if node is not None else None,
        serial=str(device.get("serial", "")),
        pci=pci,
        channel=channel,
        target=target,
        unit=unit,
    )


def _ide(machine: Machine, devices: dict[str, Device], device: Device) -> tuple[str, PciAddress | None, int]:
    controller, _, port = str(device.get("bus", "ide.0")).partition(".")
    unit = _number(port) if machine.config.family == "q35" else _number(device.get("unit"))
    if controller in devices:
        return "sata", pci_address(devices[controller]), _number(port)
    if machine.config.family == "q35":
        return "sata", SATA_PCI, unit
    return "ide", IDE_PCI, unit


def _nics(machine: Machine) -> list[Nic]:
    networks = {str(each.get("id")): str(each.get("type", "")) for each in machine.config.netdevs}
    found: list[Nic] = []
    for device in machine.config.devices:
        if str(device["driver"]).removesuffix("-transitional").removesuffix("-non") in NIC_DRIVERS:
            mac = str(device.get("mac", f"{FIRST_MAC}{0x56 + len(found):02x}"))
            found.append(Nic(str(device["driver"]), mac.lower(), networks.get(str(device.get("netdev")), "")))
    return found


def _pci_ids(devices: list[Device]) -> list[tuple[int, int]]:
    found = []
    for device in devices:
        driver, _, kind = str(device["driver"]).partition("-pci")
        if driver in VIRTIO_IDS and "-pci" in str(device["driver"]):
            modern, transitional = VIRTIO_IDS[driver]
            express = str(device.get("bus", "pcie.0")) not in ("pci.0",) and kind != "-transitional"
            found.append((VIRTIO_VENDOR, modern if express else transitional))
    return found


def pci_address(device: Device) -> PciAddress | None:
    """Where a device that was placed by `bus` and `addr` is; None for one that was not."""
    if "addr" not in device:
        return None
    slot, _, function = str(device["addr"]).partition(".")
    _, _, bus = str(device.get("bus", "pcie.0")).partition(".")
    return PciAddress(0, _number(bus), _number(slot), _number(function))


def _controller(device: Device) -> str:
    return str(device.get("bus", "")).partition(".")[0]


def _number(value: object) -> int:
    """A number as command lines write it: `3`, `0x3`, or nothing."""
    if isinstance(value, int):
        return value
    try:
        return int(str(value), 0)
    except ValueError:
        return 0
