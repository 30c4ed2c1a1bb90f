"""What of its devices a machine sends along by name, as QEMU's stream does: blocks of memory, then a section for each.

A destination that lacks one of them cannot take the guest; one that has more can. What no stream can carry blocks
migrations and saves. Names are measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine

PCI = {
    "AC97": "ac97",
    "ES1370": "es1370",
    "e1000": "e1000",
    "e1000e": "e1000e",
    "i6300esb": "i6300esb_wdt",
    "ich9-ahci": "ich9_ahci",
    "ich9-intel-hda": "intel-hda",
    "ich9-usb-ehci1": "ehci",
    "lsi": "lsiscsi",
    "lsi53c895a": "lsiscsi",
    "megasas": "megasas",
    "nec-usb-xhci": "xhci",
    "pci-bridge": "pci_bridge",
    "pcie-pci-bridge": "pcie-pci-bridge",
    "pcie-root-port": "pcie-root-port",
    "piix3-usb-uhci": "uhci",
    "pvpanic-pci": "pvpanic-pci",
    "qemu-xhci": "xhci",
    "rtl8139": "rtl8139",
    "virtio-balloon-pci": "virtio-balloon",
    "virtio-blk-pci": "virtio-blk",
    "virtio-gpu-pci": "virtio-gpu",
    "virtio-keyboard-pci": "virtio-input",
    "virtio-mouse-pci": "virtio-input",
    "virtio-net-pci": "virtio-net",
    "virtio-rng-pci": "virtio-rng",
    "virtio-scsi-pci": "virtio-scsi",
    "virtio-serial-pci": "virtio-console",
    "virtio-tablet-pci": "virtio-input",
}
USB = {"usb-kbd": "usb-kbd", "usb-mouse": "usb-ptr", "usb-tablet": "usb-ptr"}
SCSI = {"scsi-cd": "scsi-disk", "scsi-hd": "scsi-disk"}
ISA = {"ib700": "ib700_wdt", "intel-iommu": "iommu-intel", "isa-serial": "serial", "vmgenid": "vmgenid"}
"""Types of which there are sections; those of the last kind have numbers instead of places."""
VIDEO_MEMORY = {
    "VGA": "vga.vram",
    "bochs-display": "bochs-display-vram",
    "cirrus-vga": "vga.vram",
    "qxl-vga": "vga.vram",
    "virtio-vga": "vga.vram",
    "vmware-svga": "vga.vram",
}
ROMS = ("e1000", "e1000e", "rtl8139", "virtio-net-pci")
DIMMS, VIRTIO_MEMORY = ("pc-dimm", "nvdimm"), ("virtio-mem-pci", "virtio-pmem-pci")
NOT_TO_BE_MOVED = {
    "amd-iommu": "amd-iommu",
    "nvme": "nvme",
    "rocker": "rocker",
    "usb-audio": "usb-audio",
    "usb-braille": "usb-serial",
    "usb-mtp": "usb-mtp",
    "usb-net": "usb-net",
    "usb-serial": "usb-serial",
    "usb-uas": "usb-uas",
    "usb-wacom-tablet": "usb-wacom",
    "virtio-crypto-pci": "virtio-crypto",
}
"""Types whose state no stream carries, and the names of their sections."""
PEER_MODE = "Migration is disabled when using feature 'peer mode' in device 'ivshmem'"
DUMPING = "Live migration disabled: dump-guest-memory in progress"
LACKING = (
    "Unknown savevm section or instance '{}' {}. Make sure that your current VM setup matches your saved VM setup, "
    "including any hotplugged devices"
)


def memory_blocks(machine: Machine) -> list[list[Any]]:
    """Blocks of memory by name and size in bytes, or 0 where that is not looked at, the largest kinds first.

    The main one, that of dimms and virtio devices, of video adapters, and ROMs.
    """
    devices = machine.devices.all
    main = [[machine.config.main_memory or "pc.ram", 0]]
    dimms = [_backing(machine, each) for each in devices if each.kind in (*DIMMS, *VIRTIO_MEMORY)]
    video = [[f"{_path(each)}/{VIDEO_MEMORY[each.kind]}", 0] for each in devices if each.kind in VIDEO_MEMORY]
    roms = [
        [f"{_path(each)}/{each.kind}.rom", 0]
        for each in devices
        if each.kind in ROMS and each.values.get("romfile") != ""
    ]
    return [*main, *dimms, *video, *roms]


def _backing(machine: Machine, device: Device) -> list[Any]:
    name = str(device.values.get("memdev"))
    found = machine.objects.all.get(name)
    size = 0 if found is None else int(str(found.values.get("size", 0)))
    return [f"{_path(device)}/{name}" if device.kind in VIRTIO_MEMORY else name, size]


def sections(machine: Machine) -> list[list[Any]]:
    """Name and number of each section whose device another machine may lack."""
    found: list[list[Any]] = [
        ["cpu_common", number] for number in range(len(machine.devices.processors.present()))
    ]
    users = [each for each in machine.netdevs.all.values() if each.kind == "user"]
    found += [["slirp", number] for number in range(len(users))]
    counted: dict[str, int] = {}
    for device in machine.devices.all:
        if device.kind in ISA:
            name = ISA[device.kind]
            counted[name] = counted.get(name, -1) + 1
            found.append([name, counted[name]])
        elif (place := _named(device)) is not None:
            found.append([place, 0])
    return found


def must_have_memory(machine: Machine, named: object) -> None:
    """Refuse a guest whose memory has blocks that are not here."""
    here = dict(memory_blocks(machine))
    for each in named if isinstance(named, list) else []:
        if not (isinstance(each, list) and len(each) == 2 and isinstance(each[0], str)):
            continue
        name, size = each
        if name not in here:
            machine.host.report(f'Unknown ramblock "{name}", cannot accept migration')
            raise Refused("error while loading state for instance 0x0 of device 'ram'")
        if isinstance(size, int) and size != here[name]:
            sizes = f"{size:#x} != {here[name]:#x}"
            machine.host.report(f"Size mismatch: {name}: {sizes}: Invalid argument")
            raise Refused("error while loading state for instance 0x0 of device 'ram'")


def must_have_sections(machine: Machine, named: object) -> None:
    """Refuse a guest of devices that are not here."""
    here = sections(machine)
    for each in named if isinstance(named, list) else []:
        if isinstance(each, list) and len(each) == 2 and each not in here:
            raise Refused(LACKING.format(*each))


def blockers(machine: Machine) -> list[str]:
    """Why the guest cannot be moved, as query-migrate shows it."""
    found = [PEER_MODE for each in machine.devices.all if _is_peer(each)]
    if machine.dump.status == "active":
        found.append(DUMPING)
    return [*found, *(f"non-migratable device: {name}" for name in reversed(fixed_devices(machine)))]


def fixed_devices(machine: Machine) -> list[str]:
    """Devices whose state no stream carries."""
    return [_section(each) for each in machine.devices.all if each.kind in NOT_TO_BE_MOVED]


def _section(device: Device) -> str:
    name = NOT_TO_BE_MOVED[device.kind]
    owner = None if device.bus is None else device.bus.owner
    if name.startswith("usb-") and owner is not None:
        return f"{_path(owner)}/{device.place}/{name}"
    return f"{_path(device)}/{name}" if isinstance(device.place, int) else name


def _is_peer(device: Device) -> bool:
    return device.kind == "ivshmem-plain" and not device.values.get("master")


def must_be_movable(machine: Machine) -> None:
    """Raises Refused with the first reason, in the words of a command."""
    for name in fixed_devices(machine):
        raise Refused(f"State blocked by non-migratable device '{name}'")
    for reason in blockers(machine):
        raise Refused(reason)


def _named(device: Device) -> str | None:
    bus = device.bus
    owner = None if bus is None else bus.owner
    if device.kind in PCI:
        return f"{_path(device)}/{PCI[device.kind]}"
    if device.kind in USB and owner is not None:
        return f"{_path(owner)}/{device.place}/{USB[device.kind]}"
    if device.kind in SCSI and owner is not None and owner.kind == "virtio-scsi-pci":
        values = device.values
        place = f"{values['channel']}:{values['scsi-id']}:{values['lun']}"
        return f"{_path(owner)}/{place}/{SCSI[device.kind]}"
    return None


def _path(device: Device) -> str:
    """`0000:00:SLOT.FUNCTION`, one for each bridge on the way."""
    steps: list[str] = []
    at: Device | None = device
    while at is not None and isinstance(at.place, int):
        steps.insert(0, "{:02x}.{:x}".format(*divmod(at.place, 8)))
        at = at.bus.owner if at.bus is not None else None
    return f"0000:00:{':'.join(steps)}"
