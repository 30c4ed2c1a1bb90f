"""NTFS: its boot sector, the master file table, and the flags in record 3.

    boot sector ─> $MFT: record 0 ─its runs─> record 3, $Volume ─> $VOLUME_INFORMATION: flags, bit 0: dirty
              └──> $MFTMirr ────────────────> copies of records 0-3

$MFT decides; its mirror is kept like it. A mirror that is not in order is left alone.
(facts: windows-acpi 10; names and offsets: linux-ntfs documentation; judged by ntfsinfo and ntfsfix)
"""

from __future__ import annotations

from qmpemu.edge.volumes.file_system import FileSystem, Flag
from qmpemu.edge.volumes.image import Image, le
from qmpemu.edge.volumes.mft_record import DATA, STRIDE, VOLUME_INFORMATION, VOLUME_NAME, Damaged, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.volumes.partitions import Extent

VOLUME = 3
"""The record of $Volume."""

FLAGS_AT = 10
"""In $VOLUME_INFORMATION, behind 8 reserved bytes and the version of NTFS: major, minor."""

DIRTY = 0x01
MAJOR_VERSIONS = (1, 3)
MAX_CLUSTER_BYTES = 1 << 21
RECORD_SIZES_BYTES = (512, 1024, 2048, 4096)


def read(image: Image, extent: Extent, boot: bytes) -> FileSystem | None:
    """The file system whose first sector is `boot`, or None. Raises VolumeError for a damaged one."""
    if boot[3:11] != b"NTFS    " or boot[510:] != b"\x55\xaa":
        return None
    try:
        return _read(_Layout(image, extent, boot), le(boot, 0x48, 8))
    except Damaged as damaged:
        raise image.failure(f"the NTFS volume at byte {extent.offset_bytes} is corrupt: {damaged}") from None


def _read(layout: _Layout, serial: int) -> FileSystem:
    strides = layout.of_volume()
    record = layout.record(strides, VOLUME)
    flags = [_flag(record, strides, decides=True)]
    mirror_strides = layout.of_mirrored_volume()
    try:
        mirror = layout.record(mirror_strides, VOLUME)
        flags.append(_flag(mirror, mirror_strides, decides=False))
    except Damaged:
        pass  # $MFT decides
    return FileSystem("ntfs", _label(record), serial, flags)


def _flag(record: Record, strides: list[int], *, decides: bool) -> Flag:
    """The dirty flag in a record of $Volume whose strides lie at `strides` in the image."""
    information = record.find(VOLUME_INFORMATION)
    if information is None:
        raise Damaged("its $Volume has no information")
    at, value = information.value(at_least=FLAGS_AT + 2)
    if value[8] not in MAJOR_VERSIONS:
        raise Damaged("it is of an unknown version")
    stride, within = divmod(record.stored_at(at + FLAGS_AT), STRIDE)
    return Flag(strides[stride] + within, DIRTY, dirty_is=1, decides=decides)


def _label(record: Record) -> str:
    name = record.find(VOLUME_NAME)
    return name.value()[1].decode("utf-16-le", "replace") if name is not None else ""


class _Layout:
    """Where clusters and records are. Places are bytes of the image; a record is a list of places, one per stride."""

    __slots__ = ("_cluster_bytes", "_image", "_mft", "_mirror", "_record_bytes", "_size_bytes", "_start")

    def __init__(self, image: Image, extent: Extent, boot: bytes) -> None:
        sector = le(boot, 11, 2)
        self._image = image
        self._start = extent.offset_bytes
        self._size_bytes = le(boot, 0x28, 8) * sector
        self._cluster_bytes = _cluster_bytes(sector, boot[13])
        self._record_bytes = _record_bytes(boot[0x40], self._cluster_bytes)
        self._mft = le(boot, 0x30, 8)
        self._mirror = le(boot, 0x38, 8)
        if self._size_bytes > extent.size_bytes:
            raise Damaged("it reaches beyond the end of its partition, so it is truncated")

    def record(self, strides: list[int], number: int) -> Record:
        """The record of that number at these places."""
        return Record(b"".join(self._image.read(place, STRIDE) for place in strides), number)

    def of_volume(self) -> list[int]:
        """The places of $Volume in $MFT, whose runs are in its own first record."""
        first = self.record(self._contiguous(self._mft, 0), 0)
        data = first.find(DATA)
        if data is None:
            raise Damaged("its $MFT has no data")
        runs = list(data.runs())
        if not runs or runs[0][0] != self._mft:
            raise Damaged("its $MFT is not where its boot sector says")
        return [self._in_runs(runs, at) for at in self._offsets(VOLUME)]

    def of_mirrored_volume(self) -> list[int]:
        """The places of $Volume in $MFTMirr, which lies in one piece."""
        return self._contiguous(self._mirror, VOLUME)

    def _contiguous(self, cluster: int, number: int) -> list[int]:
        return [self._in_runs([(cluster, self._size_bytes)], at) for at in self._offsets(number)]

    def _offsets(self, number: int) -> range:
        """Where the strides of a record begin, from the start of the table."""
        return range(number * self._record_bytes, (number + 1) * self._record_bytes, STRIDE)

    def _in_runs(self, runs: list[tuple[int, int]], at: int) -> int:
        """Where byte `at` of a file is in the image."""
        wanted, within = divmod(at, self._cluster_bytes)
        for cluster, count in runs:
            if wanted < count:
                inside = (cluster + wanted) * self._cluster_bytes + within
                if not 0 < inside <= self._size_bytes - STRIDE:
                    raise Damaged("a cluster of its tables is outside")
                return self._start + inside
            wanted -= count
        raise Damaged("its $MFT is too short")


def _cluster_bytes(sector: int, per_cluster: int) -> int:
    """Sectors per cluster are a number, or from 0x81 on the negative power of two (clusters above 64 KiB)."""
    size = sector * (per_cluster if per_cluster <= 0x80 else 1 << (0x100 - per_cluster))
    if sector not in (512, 1024, 2048, 4096) or not STRIDE <= size <= MAX_CLUSTER_BYTES or size & (size - 1):
        raise Damaged("its boot sector tells no size of clusters")
    return size


def _record_bytes(raw: int, cluster_bytes: int) -> int:
    """Clusters per record are a number, or a negative power of two: 0xF6 is 2^10 bytes."""
    size = raw * cluster_bytes if raw < 0x80 else 1 << (0x100 - raw)
    if size not in RECORD_SIZES_BYTES:
        raise Damaged("its boot sector tells no size of records")
    return size
