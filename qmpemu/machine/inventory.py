"""What the machine's devices look like to its software (`hardware.Hardware`), read from the devices at each call.

Bus numbers are those that the simulated firmware gives (`devices.pci`).
"""

from __future__ import annotations

from qmpemu.hardware import DiskDrive, Hardware, Nic, PciAddress
from qmpemu.machine.block.nodes import DISK_DRIVERS, FLASH
from qmpemu.machine.devices.options import NO_ADDRESS
from qmpemu.machine.devices.pci import functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.nodes import Drive
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine

SATA_PCI, IDE_PCI = PciAddress(0, 0, 31, 2), PciAddress(0, 0, 1, 1)
"""The built-in disk controllers of q35 and pc."""


def hardware(machine: Machine) -> Hardware:
    """What is there now."""
    pci_ids = tuple(_pci_ids(machine))  # first: it is what numbers the buses
    return Hardware(
        disks=tuple(_disks(machine)),
        nics=tuple(_nics(machine)),
        pci_ids=pci_ids,
        processors=len(machine.devices.processors.present()),
        memory_bytes=machine.config.memory_bytes + machine.devices.memory.plugged_bytes,
        uefi=any(drive.qdev.startswith(FLASH) for drive in machine.blocks.drives),
    )


def _disks(machine: Machine) -> list[DiskDrive]:
    drives = {drive.qdev: drive for drive in machine.blocks.drives}
    found = []
    for device in machine.devices.all:
        if device.kind in DISK_DRIVERS:
            name = device.id or ""
            behind = (
                f"/machine/peripheral/{name}/virtio-backend",
                f"/machine/peripheral/{name}/{name}.0/legacy[0]",
            )
            drive = next(
                (
                    drives[key]
                    for key in (name, device.path, f"{device.path}/virtio-backend", *behind)
                    if key in drives
                ),
                None,
            )
            found.append(_disk(machine, device, drive))
    return found


def _disk(machine: Machine, device: Device, drive: Drive | None) -> DiskDrive:
    node = drive.node if drive is not None else None
    controller = device.bus.owner if device.bus is not None else None
    bus, pci, channel, target, unit = "scsi", None, 0, 0, 0
    if device.kind.startswith("virtio-blk") or device.kind == "nvme":
        bus, pci = ("nvme" if device.kind == "nvme" else "virtio"), pci_address(device)
    elif device.kind.startswith("scsi"):
        pci = pci_address(controller)
        channel, target, unit = (int(device.values.get(key, 0)) for key in ("channel", "scsi-id", "lun"))
    elif device.kind.startswith("ide"):
        bus, pci, unit = _ide(machine, device)
    else:
        bus = "usb" if device.kind == "usb-storage" else "fdc"
    return DiskDrive(
        bus,
        optical=DISK_DRIVERS[device.kind] and bus != "fdc",
        size_bytes=node.image.virtual_bytes if node is not None else None,
        serial=str(device.values.get("serial", "")),
        pci=pci,
        channel=channel,
        target=target,
        unit=unit,
    )


def _ide(machine: Machine, device: Device) -> tuple[str, PciAddress | None, int]:
    name = device.bus.name if device.bus is not None else "ide.0"
    port = int(name.rpartition(".")[2])
    if device.bus is not None and device.bus.owner is not None:
        return "sata", pci_address(device.bus.owner), port
    if machine.config.family == "q35":
        return "sata", SATA_PCI, port
    return "ide", IDE_PCI, int(device.values.get("unit", 0))


def _nics(machine: Machine) -> list[Nic]:
    networks = {each.nic: each.kind for each in machine.netdevs.all.values() if each.nic is not None}
    found: list[Nic] = []
    for device in machine.plugging.nics():
        mac = str(device.values.get("mac", NO_ADDRESS))
        up = machine.netdevs.link_up(device)
        found.append(Nic(device.kind, mac.lower(), networks.get(device, ""), link_up=up))
    return found


def _pci_ids(machine: Machine) -> list[tuple[int, int]]:
    """Vendor and device id of every added PCI function."""
    rows = functions(machine.plugging.pci.added())
    return [(row["id"]["vendor"], row["id"]["device"]) for row in rows]


def pci_address(device: Device | None) -> PciAddress | None:
    """Where a PCI function is, as firmware numbers buses; None for what is none."""
    if device is None or device.bus is None or not isinstance(device.place, int):
        return None
    return PciAddress(0, device.bus.number, device.place // 8, device.place % 8)
