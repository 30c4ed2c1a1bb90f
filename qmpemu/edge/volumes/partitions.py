"""Where the partitions of a disk lie: MBR with logical drives, or GPT with sectors of 512 or 4,096 bytes.

    sector 0: MBR ──type EE──> GPT: header ─> table of entries     (a second copy at the end of the disk)
               │ └─type 05, 0F─> extended: EBR ─> EBR ─> ...         (a logical drive each)
               └─any other─> a partition

The types of partitions are not asked: what a partition holds is seen in its own first sector. A table that is damaged
is never guessed at. MBR counts in sectors of 512 bytes: nothing in it says otherwise.
(UEFI 2.10, 5.2 and 5.3)
"""

from __future__ import annotations

from qmpemu.edge.volumes.image import Image, le

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR_SIZES_BYTES = (512, 4096)
SIGNATURE = b"\x55\xaa"
EXTENDED = (0x05, 0x0F, 0x85)
PROTECTIVE = 0xEE
MAX_LOGICAL_DRIVES = 128
MAX_GPT_TABLE_BYTES = 1 << 20
"""Windows makes a table of 128 entries, 16 KiB."""


class Extent:
    """A part of an image that may hold a volume."""

    __slots__ = ("offset_bytes", "size_bytes")

    def __init__(self, offset_bytes: int, size_bytes: int) -> None:
        self.offset_bytes = offset_bytes
        self.size_bytes = size_bytes


class _Entry:
    """One of the four entries of an MBR or EBR; positions in sectors of 512 bytes."""

    __slots__ = ("count", "kind", "start")

    def __init__(self, raw: bytes) -> None:
        self.kind = raw[4]
        self.start = le(raw, 8, 4)
        self.count = le(raw, 12, 4)

    @property
    def used(self) -> bool:
        """A partition at sector 0 would hold its own table: ISO images for both CD and stick have such an entry."""
        return self.kind != 0 and self.start > 0 and self.count > 0


def of_gpt(image: Image) -> list[Extent] | None:
    """The partitions of a GPT whose first header is whole; None where there is none."""
    if not _is_protective(image):
        return None
    for sector_bytes in SECTOR_SIZES_BYTES:
        found = _gpt(image, sector_bytes, 1)
        if found is not None:
            return found
    return None


def of_mbr(image: Image) -> list[Extent]:
    """The partitions of an MBR, logical drives too; of a GPT that has only its second header left; or none."""
    if _is_protective(image):
        return _second_gpt(image)
    extents = []
    for entry in _entries(image, 0):
        if entry.kind in EXTENDED:
            extents += list(_logical_drives(image, entry))
        elif entry.used:
            extents.append(_extent(image, entry.start * 512, entry.count * 512))
    return extents


def _entries(image: Image, offset: int) -> list[_Entry]:
    """The four entries at `offset`; none where there is no table (each first byte is 80 for active, or 00)."""
    if image.size_bytes < offset + 512:
        return []
    sector = image.read(offset, 512)
    raw = [sector[at : at + 16] for at in range(446, 510, 16)]
    if sector[510:] != SIGNATURE or any(entry[0] & 0x7F for entry in raw):
        return []
    return [_Entry(entry) for entry in raw]


def _is_protective(image: Image) -> bool:
    return any(entry.kind == PROTECTIVE for entry in _entries(image, 0))


def _logical_drives(image: Image, extended: _Entry) -> Iterator[Extent]:
    """Follow the chain of EBRs: the first entry is a drive, relative to its EBR; the second the next EBR."""
    at, seen = extended.start, set[int]()
    while at not in seen:
        if len(seen) == MAX_LOGICAL_DRIVES:
            raise image.failure("its extended partition has too many logical drives")
        seen.add(at)
        entries = _entries(image, at * 512)
        if not entries:
            return
        if entries[0].used:
            yield _extent(image, (at + entries[0].start) * 512, entries[0].count * 512)
        if entries[1].kind not in EXTENDED:
            return
        at = extended.start + entries[1].start
    raise image.failure("the chain of its logical drives runs in a circle")


def _second_gpt(image: Image) -> list[Extent]:
    for sector_bytes in SECTOR_SIZES_BYTES:
        found = _gpt(image, sector_bytes, image.size_bytes // sector_bytes - 1)
        if found is not None:
            return found
    raise image.failure("both copies of its GPT are damaged")


def _gpt(image: Image, sector_bytes: int, sector: int) -> list[Extent] | None:
    """The partitions of the GPT header in `sector`; None if header or table is missing or fails its checksum."""
    from zlib import crc32

    header = _gpt_header(image, sector_bytes, sector)
    if header is None:
        return None
    count, entry_bytes = le(header, 80, 4), le(header, 84, 4)
    start, length = le(header, 72, 8) * sector_bytes, count * entry_bytes
    if entry_bytes < 128 or length > MAX_GPT_TABLE_BYTES or start + length > image.size_bytes:
        return None
    table = image.read(start, length)
    if crc32(table) != le(header, 88, 4):
        return None
    entries = (table[at : at + entry_bytes] for at in range(0, length, entry_bytes))
    return [_gpt_extent(image, entry, sector_bytes) for entry in entries if any(entry[:16])]


def _gpt_header(image: Image, sector_bytes: int, sector: int) -> bytes | None:
    from zlib import crc32

    offset = sector * sector_bytes
    if not 0 < offset <= image.size_bytes - sector_bytes:
        return None
    header = image.read(offset, sector_bytes)
    length = le(header, 12, 4)
    if header[:8] != b"EFI PART" or not 92 <= length <= sector_bytes or le(header, 24, 8) != sector:
        return None
    checked = header[:16] + bytes(4) + header[20:length]
    return header if crc32(checked) == le(header, 16, 4) else None


def _gpt_extent(image: Image, entry: bytes, sector_bytes: int) -> Extent:
    first, last = le(entry, 32, 8), le(entry, 40, 8)
    if not 0 < first <= last:
        raise image.failure("an entry of its GPT ends before it begins")
    return _extent(image, first * sector_bytes, (last - first + 1) * sector_bytes)


def _extent(image: Image, offset: int, size: int) -> Extent:
    if offset + size > image.size_bytes:
        raise image.failure(
            f"its partition at byte {offset} reaches beyond the end of the image: it is truncated"
        )
    return Extent(offset, size)
