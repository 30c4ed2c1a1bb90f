"""An ELF core file of guest memory, as gdb and crash read it (System V ABI, "Object Files").

    header | section headers | program headers | notes | memory | section names

A dump is a sequence of bytes and of numbers: a number stands for so many zero bytes.
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.machine.dump.memory import Range

HEADER, SECTION, SEGMENT = 64, 64, 56
PT_LOAD, PT_NOTE = 1, 4
ET_CORE = 4
SHT_STRTAB = 3
NAMES = b"\0.shstrtab\0"


def elf(ranges: list[Range], notes: bytes, word: int) -> Iterator[bytes | int]:
    """The file. word: the ELF machine. Addresses are physical ones."""
    segments_at = HEADER + 2 * SECTION
    notes_at = segments_at + SEGMENT * (1 + len(ranges))
    memory_at = notes_at + len(notes)
    memory_bytes = sum(length for _, length in ranges)
    yield b"\x7fELF\x02\x01\x01" + bytes(9)
    yield pack("<HHIQQQI", ET_CORE, word, 1, 0, segments_at, HEADER, 0)
    yield pack("<HHHHHH", HEADER, SEGMENT, 1 + len(ranges), SECTION, 2, 1)
    yield pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 1 + len(ranges), 0, 0)
    yield pack("<IIQQQQIIQQ", 1, SHT_STRTAB, 0, 0, memory_at + memory_bytes, len(NAMES), 0, 0, 0, 0)
    yield pack("<IIQQQQQQ", PT_NOTE, 0, notes_at, 0, 0, len(notes), len(notes), 0)
    at = memory_at
    for first, length in ranges:
        yield pack("<IIQQQQQQ", PT_LOAD, 0, at, first, first, length, length, 0)
        at += length
    yield notes
    yield memory_bytes
    yield NAMES
