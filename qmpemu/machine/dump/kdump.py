"""A dump in kdump's compressed format, flattened: records of (offset, length, bytes) for a file that cannot be sought.

    header | sub-header, notes | bitmap of pages, twice | a descriptor for each page | pages

Format: makedumpfile's IMPLEMENTATION, "flattened format"; the headers of the `crash` utility's diskdump.
Every page is zero, so that all descriptors point to the same one.
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.machine.dump.memory import Range

PAGE = 4096
SUB_HEADER = 104
NAME_BYTES = 65
"""Of each name of the system that was dumped."""
COMPRESSED_ZLIB = 1
PAGES_AT_ONCE = 1 << 15
CHUNK = 1 << 20


def kdump(ranges: list[Range], notes: bytes, processors: int) -> Iterator[bytes]:
    """The file, of pages of 4 KiB."""
    last_page = max(first + length for first, length in ranges) // PAGE
    head_blocks = -(-(SUB_HEADER + len(notes)) // PAGE)
    bitmap_blocks = -(-last_page // 8 // PAGE)
    bitmap_at = PAGE * (1 + head_blocks)
    descriptors_at = bitmap_at + 2 * bitmap_blocks * PAGE
    pages = sum(length // PAGE for _, length in ranges)
    page_at = descriptors_at + 24 * pages
    yield (b"makedumpfile\0\0\0\0" + pack(">QQ", 1, 1)).ljust(PAGE, b"\0")
    names = bytes(4 * NAME_BYTES) + b"x86_64".ljust(NAME_BYTES, b"\0") + bytes(NAME_BYTES)
    numbers = (COMPRESSED_ZLIB, PAGE, head_blocks, 2 * bitmap_blocks, last_page, 0, 0, 0, 0, processors)
    yield _record(0, b"KDUMP   " + pack("<I", 6) + names + bytes(22) + pack("<10I", *numbers))
    notes_at = PAGE + SUB_HEADER
    sub = (0, 1, 0, 0, 0, 0, 0, notes_at, len(notes), 0, 0, 0, 0, last_page)
    yield _record(PAGE, pack("<QIIQQQQQQQQQQQ", *sub))
    yield _record(notes_at, notes)
    bitmap = _bitmap(ranges, bitmap_blocks * PAGE)
    for at in range(0, len(bitmap), CHUNK):
        yield _record(bitmap_at + at, bitmap[at : at + CHUNK])
        yield _record(bitmap_at + len(bitmap) + at, bitmap[at : at + CHUNK])
    descriptor = pack("<qIIQ", page_at, PAGE, 0, 0)
    for done in range(0, pages, PAGES_AT_ONCE):
        count = min(PAGES_AT_ONCE, pages - done)
        yield _record(descriptors_at + 24 * done, descriptor * count)
    yield _record(page_at, bytes(PAGE))
    yield pack(">qq", -1, -1)


def _record(at: int, data: bytes) -> bytes:
    return pack(">QQ", at, len(data)) + data


def _bitmap(ranges: list[Range], size: int) -> bytes:
    """A bit for each page, the lowest first. Ranges begin and end at whole bytes of it: multiples of 32 KiB."""
    made = bytearray(size)
    for first, length in ranges:
        begin, end = first // PAGE // 8, (first + length) // PAGE // 8
        made[begin:end] = b"\xff" * (end - begin)
    return bytes(made)
