"""Physical disks and the volumes on them, as Windows' storage stack shows them.

    disk 0   [ System Reserved | EFI system partition ][ C: NTFS                    ]      optical drives: D:, E:, ...

Windows is installed on the first disk. Other disks are shown and hold no volumes that Windows knows. Bus types are
Windows': virtio-blk's driver says that its disks are SCSI.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.guests.windows.files import FileStore
    from qmpemu.guests.windows.system import System
    from qmpemu.hardware import DiskDrive, PciAddress

BUS_TYPES = {"virtio": "scsi", "scsi": "scsi", "ide": "ide", "sata": "sata", "usb": "usb", "nvme": "nvme"}
"""The agent's names of Windows' bus types; none for a floppy drive, which is no disk to it."""
ADDRESSED = ("scsi", "ide")
"""Bus types whose disks the agent asks for their address; others show zeros."""
RESERVED_BYTES = 100 << 20
INSTALLED_BYTES = 18 << 30
"""What a fresh Windows takes; on a disk too small for that, the share below is said to be taken."""
INSTALLED_SHARE = 0.6
SERIAL_VIRTIO_MAX = 20


class Partition(NamedTuple):
    """One volume. mount_point: as the agent shows it. disk: its number, and the drive."""

    guid: str
    mount_point: str
    type: str
    size_bytes: int
    used_bytes: int
    disk: int
    drive: DiskDrive
    letter: str


class Storage:
    """The storage stack of one Windows."""

    __slots__ = ("_files", "_system")

    def __init__(self, system: System, files: FileStore) -> None:
        self._system = system
        self._files = files

    def disks(self) -> list[tuple[int, DiskDrive]]:
        """Hard disks with Windows' numbers of them."""
        drives = self._system.platform.hardware().disks
        hard = [each for each in drives if not each.optical and each.bus in BUS_TYPES]
        return list(enumerate(hard))

    def partitions(self) -> list[Partition]:
        """Every volume: the reserved one, C:, and the media of optical drives."""
        hardware = self._system.platform.hardware()
        found: list[Partition] = []
        for number, drive in self.disks()[:1]:
            found += _system_disk(number, drive, uefi=hardware.uefi, extra_bytes=self._files.used_bytes)
        optical = [each for each in hardware.disks if each.optical]
        for letter, drive in zip("DEFGHIJKLMNOPQRSTUVWXYZ", optical, strict=False):
            if drive.size_bytes is not None:
                guid = _guid(f"{letter}:{drive.size_bytes}")
                size = drive.size_bytes
                found.append(Partition(guid, f"{letter}:\\", "UDF", size, size, -1, drive, letter))
        return found


def _system_disk(number: int, drive: DiskDrive, *, uefi: bool, extra_bytes: int) -> Iterator[Partition]:
    whole = drive.size_bytes or 0
    reserved, name = min(RESERVED_BYTES, whole), f"{drive.serial}/{whole}"
    kind, used = ("FAT32", reserved // 3) if uefi else ("NTFS", reserved // 2)
    yield Partition(_guid(f"{name}/1"), "System Reserved", kind, reserved, used, number, drive, "")
    size = max(0, whole - reserved - (2 << 20))
    taken = min(size, min(INSTALLED_BYTES, int(size * INSTALLED_SHARE)) + extra_bytes)
    yield Partition(_guid(f"{name}/2"), "C:\\", "NTFS", size, taken, number, drive, "C")


def shown_disk(number: int, drive: DiskDrive) -> dict[str, object]:
    r"""A disk as guest-get-disks shows it. number: of `\\.\PhysicalDriveN`."""
    name = f"\\\\.\\PhysicalDrive{number}"
    return {"name": name, "partition": False, "address": address(name, drive)}


def shown_partition(partition: Partition) -> dict[str, object]:
    """A volume as guest-get-fsinfo shows it; one without a path has no figures."""
    optical = partition.drive.optical
    device = partition.guid.rstrip("\\") if optical else f"\\\\.\\PhysicalDrive{partition.disk}"
    shown: dict[str, object] = {
        "name": partition.guid,
        "mountpoint": partition.mount_point,
        "type": partition.type,
        "disk": [address(device, partition.drive)],
    }
    if partition.letter:
        shown["used-bytes"] = partition.used_bytes
        shown["total-bytes"] = partition.size_bytes
    return shown


def address(device: str, drive: DiskDrive) -> dict[str, object]:
    """Where a disk is, as the agent shows it."""
    bus_type = BUS_TYPES[drive.bus]
    addressed = bus_type in ADDRESSED
    shown: dict[str, object] = {
        "pci-controller": _pci(drive.pci),
        "bus-type": bus_type,
        "bus": drive.channel if addressed else 0,
        "target": drive.target if addressed else 0,
        "unit": drive.unit if addressed else 0,
        "dev": device,
    }
    if drive.serial:
        shown["serial"] = drive.serial[:SERIAL_VIRTIO_MAX] if drive.bus == "virtio" else drive.serial
    return shown


def _pci(pci: PciAddress | None) -> dict[str, int]:
    if pci is None:
        return {"domain": -1, "bus": -1, "slot": -1, "function": -1}
    return {"domain": pci.domain, "bus": pci.bus, "slot": pci.slot, "function": pci.function}


def _guid(seed: str) -> str:
    r"""A volume's name, `\\?\Volume{...}\`: the same as long as the volume is."""
    digits = f"{Random(seed).getrandbits(128):032x}"
    return f"\\\\?\\Volume{{{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}}}\\"
