"""An empty qcow2 image (docs: interop/qcow2), and one that no folder lists and that goes with its process."""

from __future__ import annotations

import os

from qmpemu.core.table import Refused
from qmpemu.machine.block.temporary import Temporary

CLUSTER_BITS, CLUSTER_BYTES = 16, 1 << 16
VERSION, HEADER_BYTES = 3, 104
REFCOUNT_ORDER = 4
"""Reference counts have 16 bits."""
COPIED = 1 << 63
L2_ENTRIES = CLUSTER_BYTES // 8
FOLDER = "/var/tmp"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def empty(virtual_bytes: int) -> bytes:
    """Header, reference counts and first-level table of an image in which nothing is allocated.

    clusters: 0 header, 1 table of reference counts, 2 their first block, 3 first-level table.
    """
    entries = -(-virtual_bytes // (CLUSTER_BYTES * L2_ENTRIES))
    table = -(-max(1, entries) * 8 // CLUSTER_BYTES)
    numbers = (
        (0x514649FB, 4),
        (VERSION, 4),
        (0, 8),  # no backing file
        (0, 4),
        (CLUSTER_BITS, 4),
        (virtual_bytes, 8),
        (0, 4),  # not encrypted
        (entries, 4),
        (3 * CLUSTER_BYTES, 8),
        (CLUSTER_BYTES, 8),
        (1, 4),
        (0, 4),  # no snapshots
        (0, 8),
        (0, 8),  # no features of any kind
        (0, 8),
        (0, 8),
        (REFCOUNT_ORDER, 4),
        (HEADER_BYTES, 4),
    )
    header = b"".join(number.to_bytes(size, "big") for number, size in numbers)
    counts = (1).to_bytes(2, "big") * (3 + table)
    parts = (header, (2 * CLUSTER_BYTES).to_bytes(8, "big"), counts)
    return b"".join(part.ljust(CLUSTER_BYTES, b"\0") for part in parts) + bytes(entries * 8)


def make_temporary(virtual_bytes: int) -> Temporary:
    """A new image whose file has a name for a moment only: it is reached by its descriptor. Raises Refused."""
    folder = os.environ.get("TMPDIR") or FOLDER
    told = f"{folder}/vl.{''.join(LETTERS[each % len(LETTERS)] for each in os.urandom(6))}"
    try:
        fd = os.open(told, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refused(f"Could not open temporary file '{told}': {error.strerror}") from None
    try:
        os.unlink(told)
        os.write(fd, empty(virtual_bytes))
    except OSError as error:
        os.close(fd)
        raise Refused(f"Could not write to temporary file '{told}': {error.strerror}") from None
    path = Temporary(f"/proc/{os.getpid()}/fd/{fd}")
    path.told = told
    return path
