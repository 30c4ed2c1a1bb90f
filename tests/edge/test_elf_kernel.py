"""-kernel with an ELF file: one with Xen's note of an entry point is loaded, on ours and on the real QEMU."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.edge.test_said_lines import said

if TYPE_CHECKING:
    from pathlib import Path

AT = 0x10_0000
REFUSED = "qemu-system-x86_64: Error loading uncompressed kernel without PVH ELF Note\n"


def kernel(kind: int, entry: int) -> bytes:
    """A 64-bit ELF file with one segment, and one note of Xen's in it."""
    note = struct.pack("<III4sQ", 4, 8, kind, b"Xen\0", entry)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, AT, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, AT, AT, 4096, 4096, 4096)
    where = 64 + 2 * 56
    notes = struct.pack("<IIQQQQQQ", 4, 4, where, AT + where, AT + where, len(note), len(note), 4)
    return (head + load + notes + note).ljust(4096, b"\0")


@pytest.mark.parametrize(("kind", "entry", "text"), [(18, AT, ""), (18, 0, REFUSED), (17, AT, REFUSED)])
def test_as_the_real_one(tmp_path: Path, kind: int, entry: int, text: str) -> None:
    """Without the note, or without an address in it, it is refused."""
    (tmp_path / "kernel").write_bytes(kernel(kind, entry))
    line = f"-machine q35 -nodefaults -kernel {tmp_path}/kernel"
    real = said("real", tmp_path, line)
    assert real == (1 if text else 0, text)
    status, ours = said("ours", tmp_path, line)
    assert (status, ours) == real
