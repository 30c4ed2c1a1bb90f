"""What is wrong with a qcow2 image as its header has it (docs: interop/qcow2), in the words and the order of QEMU 7.2.

A start that is refused for the image it finds needs no real block layer to say so, whose start would take longer than
everything else. What is not found here, that one finds.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = (2, 3)
CLUSTER_BITS = range(9, 22)
LENGTH_LEAST = 104
KNOWN = 0b11111
CORRUPT, DATA_FILE, EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 4
"""Incompatible features."""
REFCOUNT_ORDER_MAX = 6
LUKS = 2
L1_BYTES_MAX = 32 << 20
FEATURE_NAMES, DATA_FILE_NAME = 0x6803F857, 0x44415441
"""Magic numbers of extensions."""
NAME_BYTES = 48
"""Of an entry among the names of features: its kind (0 is incompatible), its bit, and the name."""


def flaws(header: bytes, extensions: dict[int, bytes], file_bytes: int) -> Iterator[tuple[str, str]]:
    """Each with the option of a node that makes up for it, or ""; none behind what cannot be judged from here."""
    version, bits = number(header, 4, 4), number(header, 20, 4)
    if version not in VERSIONS:
        yield "", f"Unsupported qcow2 version {version}"
    if bits not in CLUSTER_BITS:
        yield "", f"Unsupported cluster size: 2^{bits}"
    if version not in VERSIONS or bits not in CLUSTER_BITS or not is_whole(header, 1 << bits):
        return
    features = number(header, 72, 8) if version == 3 else 0
    unknown = features & ~KNOWN
    if unknown:
        if not unknown & _named(extensions):
            yield "", f"Unsupported qcow2 feature(s): Unknown incompatible feature: {unknown:x}"
        return
    if features & CORRUPT:
        yield "read-only", "qcow2: Image is corrupt; cannot be opened read/write"
    if version == 3 and number(header, 96, 4) > REFCOUNT_ORDER_MAX:
        yield "", "Reference count entry width too large; may not exceed 64 bits"
    if _has_odd_tables(header):
        return
    l1_at, l1_bytes = number(header, 40, 8), number(header, 36, 4) * 8
    if l1_at % (1 << bits):
        yield "", "Active L1 table offset invalid"
    if l1_at + l1_bytes > file_bytes or l1_bytes < _l1_bytes(header, bits, features):
        return
    if features & DATA_FILE:
        name = extensions.get(DATA_FILE_NAME, b"")
        try:
            os.stat(name)  # from where the process is, as QEMU looks for it
        except OSError as error:
            yield "data-file", f"Could not open '{os.fsdecode(name)}': {error.strerror}"
    if number(header, 32, 4) == LUKS:
        yield "encrypt", "Parameter 'encrypt.key-secret' is required for cipher"


def is_whole(header: bytes, cluster_bytes: int) -> bool:
    """Whether its own length, and that of what is in its cluster, can be."""
    length = number(header, 100, 4) if number(header, 4, 4) == 3 else LENGTH_LEAST
    return LENGTH_LEAST <= length <= cluster_bytes and number(header, 8, 8) <= cluster_bytes


def _named(extensions: dict[int, bytes]) -> int:
    """The incompatible features that the image has names for."""
    table = extensions.get(FEATURE_NAMES, b"")
    entries = [table[at : at + 2] for at in range(0, len(table) - 1, NAME_BYTES)]
    return sum(1 << each for each in {bit for kind, bit in entries if kind == 0 and bit < 64})


def _has_odd_tables(header: bytes) -> bool:
    """Whether anything is odd of what is looked at before the table of clusters."""
    cluster_bytes = 1 << number(header, 20, 4)
    odd_cipher = number(header, 32, 4) not in (0, LUKS)
    odd_offsets = number(header, 48, 8) % cluster_bytes or number(header, 64, 8) % cluster_bytes
    too_many = number(header, 36, 4) * 8 > L1_BYTES_MAX
    return bool(odd_cipher or odd_offsets or too_many or not number(header, 56, 4))


def _l1_bytes(header: bytes, bits: int, features: int) -> int:
    """How large the table of clusters has to be for the size of the disk."""
    entry_bytes = 16 if features & EXTENDED_L2 else 8
    covered = (1 << bits) // entry_bytes << bits
    return -(-number(header, 24, 8) // covered) * 8


def number(header: bytes, offset: int, size: int) -> int:
    """A field of it."""
    return int.from_bytes(header[offset : offset + size], "big")
