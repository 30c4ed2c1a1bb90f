"""FAT32: its boot sector, and the flags in it and in the tables.

    boot sector ... FAT 1 ... FAT 2 ... clusters
      0x41 bit 0: dirty (what NT, Linux and fsck.vfat look at)
                    entry 1, bit 27: ClnShutBit, set on a clean volume, in each copy of the table

Windows and fsck.vfat call a volume dirty if one of them does (fsck.vfat 4.2, measured). The backup boot sector has no
flag: nobody writes it. (Microsoft's FAT specification 1.03; facts: windows-acpi 10)
"""

from __future__ import annotations

from qmpemu.edge.volumes.file_system import FileSystem, Flag
from qmpemu.edge.volumes.image import Image, le

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.edge.volumes.partitions import Extent

BOOT_DIRTY_AT, BOOT_DIRTY = 0x41, 0x01
CLEAN_SHUTDOWN_AT, CLEAN_SHUTDOWN = 7, 0x08
"""Bit 27 of entry 1: bit 3 of the table's byte 7."""

BITLOCKER_AT = (160, 424)
BITLOCKER = (
    bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"),
    bytes.fromhex("3b4da89280dd0e4d9e4eb1e3284eaed8"),
)
"""A BitLocker volume has a boot sector of FAT32, with one of these numbers (libbde: BDE format)."""

MAX_DIRECTORY_BYTES = 65536 * 32
MEDIA = (0xF0, *range(0xF8, 0x100))
END_OF_CHAIN = 0x0FFFFFF8
VOLUME_ID, LONG_NAME, ATTRIBUTES = 0x08, 0x0F, 0x3F


def read(image: Image, extent: Extent, boot: bytes) -> FileSystem | None:
    """The file system whose first sector is `boot`, or None. Raises VolumeError for a damaged one."""
    if not _is_fat32(boot):
        return None
    layout = _Layout(boot, extent.offset_bytes)
    problem = layout.problem(extent.size_bytes)
    if problem:
        raise image.failure(f"the FAT32 volume at byte {extent.offset_bytes} {problem}")
    for table in layout.tables:
        if le(image.read(table, 4), 0, 4) & 0x0FFFFFFF != 0x0FFFFF00 | boot[21]:
            raise image.failure(f"a table of the FAT32 volume at byte {extent.offset_bytes} is corrupt")
    flags = [Flag(table + CLEAN_SHUTDOWN_AT, CLEAN_SHUTDOWN, dirty_is=0) for table in layout.tables]
    flags.append(Flag(extent.offset_bytes + BOOT_DIRTY_AT, BOOT_DIRTY, dirty_is=1))
    return FileSystem("fat32", _label(image, layout), le(boot, 0x43, 4), flags)


def _is_fat32(boot: bytes) -> bool:
    """Whether a boot sector can only be one of FAT32: FAT12 and FAT16 have root entries, NTFS and exFAT no tables."""
    return (
        boot[510:] == b"\x55\xaa"
        and boot[0] in (0xE9, 0xEB)
        and le(boot, 11, 2) in (512, 1024, 2048, 4096)
        and boot[13] in (1, 2, 4, 8, 16, 32, 64, 128)
        and boot[16] in (1, 2)
        and not any(boot[17:19] + boot[22:24] + boot[42:44])  # root entries, 16-bit sectors per FAT, version
        and boot[21] in MEDIA
        and min(le(boot, 14, 2), _sectors(boot), le(boot, 36, 4)) > 0  # reserved, all, per FAT
        and boot[3:11] != b"-FVE-FS-"
        and not any(boot[at : at + 16] in BITLOCKER for at in BITLOCKER_AT)
    )


def _sectors(boot: bytes) -> int:
    """All sectors of the volume; the old 16-bit field is 0 unless they are few (mkfs.vfat, below 32 MiB)."""
    return le(boot, 19, 2) or le(boot, 32, 4)


class _Layout:
    """Where things are, in bytes of the image. tables: the copies in use, the one that readers take first."""

    __slots__ = ("clusters", "data", "end", "per_cluster", "per_table", "root", "start", "tables")

    def __init__(self, boot: bytes, start: int) -> None:
        sector, copies, mirroring = le(boot, 11, 2), boot[16], le(boot, 40, 2)
        first = start + le(boot, 14, 2) * sector
        self.start = start
        self.per_cluster = sector * boot[13]
        self.per_table = le(boot, 36, 4) * sector
        self.data = first + copies * self.per_table
        self.end = start + _sectors(boot) * sector
        self.clusters = (self.end - self.data) // self.per_cluster
        self.root = le(boot, 44, 4)
        # bit 7: only the copy whose number is in bits 0-3 is in use, the others are stale
        used = (mirroring & 15,) if mirroring & 0x80 else range(copies)
        self.tables = [first + number * self.per_table for number in used]

    def problem(self, size_bytes: int) -> str:
        """What is wrong with it in a partition of `size_bytes`, or nothing."""
        if self.end > self.start + size_bytes:
            return "reaches beyond the end of its partition: it is truncated"
        missing = self.per_table < (self.clusters + 2) * 4
        if self.clusters < 1 or missing or self.tables[0] >= self.data or not self.has(self.root):
            return "is corrupt: its boot sector contradicts itself"
        return ""

    def has(self, cluster: int) -> bool:
        """Whether there is a cluster of that number; they count from 2."""
        return 2 <= cluster < self.clusters + 2


def _label(image: Image, layout: _Layout) -> str:
    """The name in the root directory: the one in the boot sector is a copy from the day of formatting."""
    for entry in _root_entries(image, layout):
        if entry[0] == 0:
            break
        if entry[0] != 0xE5 and entry[11] & ATTRIBUTES != LONG_NAME and entry[11] & VOLUME_ID:
            return entry[:11].decode("cp437").rstrip()
    return ""


def _root_entries(image: Image, layout: _Layout) -> Iterator[bytes]:
    """The entries of the root directory, as far as its chain leads; no further than a directory may be long."""
    cluster, left_bytes = layout.root, MAX_DIRECTORY_BYTES
    while layout.has(cluster) and left_bytes > 0:
        content = image.read(layout.data + (cluster - 2) * layout.per_cluster, layout.per_cluster)
        yield from (content[at : at + 32] for at in range(0, len(content), 32))
        left_bytes -= len(content)
        cluster = le(image.read(layout.tables[0] + cluster * 4, 4), 0, 4) & 0x0FFFFFFF
