"""What a qcow2 image's header tells (docs: interop/qcow2, "Header").

The header alone tells what is seen of most images. Others (encrypted, corrupt, with snapshots, bitmaps or a data file
of their own) have to be opened by the real block layer: it has the words for what is wrong with them.
"""

from __future__ import annotations

import os

from qmpemu.edge.qcow2_flaws import (
    CLUSTER_BITS,
    CORRUPT,
    EXTENDED_L2,
    REFCOUNT_ORDER_MAX,
    VERSIONS,
    flaws,
    is_whole,
)
from qmpemu.edge.qcow2_flaws import number as _number
from qmpemu.machine.host import Image, ImageRefused, NeedsOpening

MAGIC = b"QFI\xfb"
HEADER_LEAST = 104
AES = 1
"""A number of the header's: how an image is encrypted."""
OLD_CIPHER = "Use of AES-CBC encrypted {form} images is no longer supported in system emulators"
CHAIN_MAX = 100
LAZY_REFCOUNTS = 1
BITMAPS = 1
BACKING_FORMAT = 0xE2792ACA
BITMAPS_EXTENSION = 0x23852875
BITMAP_FLAGS = ("in-use", "auto")
DIRECTORY_MAX = 1 << 20
"""More than this is not read of a directory of bitmaps: a peer could have written it."""
TABLE_MAX = 1 << 20
"""More than this is not read of a table of snapshots."""
NO_COUNT = (1 << 64) - 1
"""Of a machine that does not count its instructions."""
NS_PER_S = 1_000_000_000
CLUSTER_LEAST = 512
EXTENSIONS_MAX = 1 << 12


def described(path: str, header: bytes, file_bytes: int, actual_bytes: int) -> Image:
    """The image of that header. Raises OSError, NeedsOpening."""
    if header[:4] != MAGIC or len(header) < HEADER_LEAST:
        raise OSError(0, "Image is not in qcow2 format")
    if _is_old_cipher(header):
        from qmpemu.machine.block.old_ciphers import HINT

        raise ImageRefused(OLD_CIPHER.format(form="qcow2"), HINT)
    backing = _backing(path)
    image = Image(
        virtual_bytes=_number(header, 24, 8),
        file_bytes=file_bytes,
        actual_bytes=actual_bytes,
        cluster_bytes=1 << (_number(header, 20, 4) & 63),
        details=_details(header),
        backing=None if backing is None else backing[1:3],
        backing_name=None if backing is None else backing[0],
        names_format=backing is not None and backing[3],
    )
    if not _is_plain(header):
        found = _bitmaps(path)
        if found and image.details is not None:
            image.details["bitmaps"] = found
        image.snapshots = _snapshots(path)
        image.flaws = list(flaws(header, _extensions_of(path), file_bytes))
        raise NeedsOpening(image)
    return image


def old_cipher(path: str) -> str | None:
    """Why it is refused, for its encryption or that of an image that it is over."""
    prefix = ""
    for _ in range(CHAIN_MAX):
        try:
            with open(path, "rb") as file:
                header = file.read(HEADER_LEAST)
            if header[:4] != MAGIC or len(header) < HEADER_LEAST:
                return None
            if _number(header, 4, 4) == 1 and _number(header, 36, 4) == AES:
                return prefix + OLD_CIPHER.format(form="qcow")
            if _is_old_cipher(header):
                return prefix + OLD_CIPHER.format(form="qcow2")
            below = _backing(path) if _number(header, 4, 4) > 1 else None
        except OSError:
            return None
        if below is None or below[2] != "qcow2":
            return None
        path, prefix = below[1], prefix + "Could not open backing file: "
    return None


def _is_old_cipher(header: bytes) -> bool:
    return _number(header, 4, 4) in VERSIONS and _number(header, 32, 4) == AES


def _is_plain(header: bytes) -> bool:
    """Whether nothing is in the image that the header does not tell."""
    version, bits = _number(header, 4, 4), _number(header, 20, 4)
    if version not in VERSIONS or bits not in CLUSTER_BITS or not is_whole(header, 1 << bits):
        return False
    features, automatic = (_number(header, 72, 8), _number(header, 88, 8)) if version == 3 else (0, 0)
    encrypted, snapshots = _number(header, 32, 4), _number(header, 60, 4)
    tables = _number(header, 40, 8), _number(header, 48, 8)
    aligned = not any(at % (1 << bits) for at in tables)
    wide = version == 3 and _number(header, 96, 4) > REFCOUNT_ORDER_MAX
    return not (wide or features & ~EXTENDED_L2 or automatic & BITMAPS or encrypted or snapshots) and aligned


def _details(header: bytes) -> dict[str, object]:
    if _number(header, 4, 4) == 2:
        return {"compat": "0.10", "compression-type": "zlib", "refcount-bits": 16}
    incompatible, compatible = _number(header, 72, 8), _number(header, 80, 8)
    zstd = _number(header, 100, 4) > 104 and header[104] == 1
    return {
        "compat": "1.1",
        "compression-type": "zstd" if zstd else "zlib",
        "lazy-refcounts": bool(compatible & LAZY_REFCOUNTS),
        "refcount-bits": 1 << (_number(header, 96, 4) & 7),
        "corrupt": bool(incompatible & CORRUPT),
        "extended-l2": bool(incompatible & EXTENDED_L2),
    }


def _backing(path: str) -> tuple[str, str, str, bool] | None:
    """The image below it: its path as it stands there and from here, its format, and whether that was told.

    A format that was not told is looked up.
    """
    with open(path, "rb") as file:
        header = file.read(CLUSTER_LEAST)
        at, size = _number(header, 8, 8), _number(header, 16, 4)
        if not at or size > CLUSTER_LEAST:
            return None
        file.seek(at)
        name = os.fsdecode(file.read(size))
    found = os.path.join(os.path.dirname(path), name)
    form = _extensions(header[:at]).get(BACKING_FORMAT)
    if form is not None:
        return name, found, form.decode(errors="replace"), True
    try:
        with open(found, "rb") as file:
            return name, found, "qcow2" if file.read(4) == MAGIC else "raw", False
    except OSError:
        return name, found, "raw", False


def _extensions_of(path: str) -> dict[int, bytes]:
    with open(path, "rb") as file:
        return _extensions(file.read(EXTENSIONS_MAX))


def _extensions(header: bytes) -> dict[int, bytes]:
    """The header's extensions by their magic numbers."""
    found: dict[int, bytes] = {}
    at = 72 if _number(header, 4, 4) == 2 else _number(header, 100, 4)
    while at + 8 <= len(header):
        kind, length = _number(header, at, 4), _number(header, at + 4, 4)
        if kind == 0:
            break
        found[kind] = header[at + 8 : at + 8 + length]
        at += 8 + -(-length // 8) * 8
    return found


def _bitmaps(path: str) -> list[dict[str, object]]:
    """The persistent bitmaps that its directory lists, each with what is told of it."""
    about = _extensions_of(path).get(BITMAPS_EXTENSION, b"")
    with open(path, "rb") as file:
        file.seek(_number(about, 16, 8) & (1 << 62) - 1)
        directory = file.read(min(_number(about, 8, 8), DIRECTORY_MAX))
    found: list[dict[str, object]] = []
    at = 0
    while len(found) < _number(about, 0, 4) and at + 24 <= len(directory):
        flags, granularity = _number(directory, at + 12, 4), directory[at + 17]
        name_bytes, extra_bytes = _number(directory, at + 18, 2), _number(directory, at + 20, 4)
        name = directory[at + 24 + extra_bytes :][:name_bytes].decode(errors="replace")
        shown = [word for bit, word in enumerate(BITMAP_FLAGS) if flags >> bit & 1]
        found.append({"flags": shown, "name": name, "granularity": 1 << (granularity & 63)})
        at += -(-(24 + extra_bytes + name_bytes) // 8) * 8
    return found


def _snapshots(path: str) -> list[dict[str, object]]:
    """The snapshots that its table lists, each with what is told of it."""
    with open(path, "rb") as file:
        header = file.read(HEADER_LEAST)
        file.seek(_number(header, 64, 8) & (1 << 62) - 1)
        table = file.read(TABLE_MAX)
    found: list[dict[str, object]] = []
    at = 0
    while len(found) < _number(header, 60, 4) and at + 40 <= len(table):
        id_bytes, name_bytes = _number(table, at + 12, 2), _number(table, at + 14, 2)
        extra_bytes, clock_ns = _number(table, at + 36, 4), _number(table, at + 24, 8)
        state = _number(table, at + 40, 8) if extra_bytes >= 8 else _number(table, at + 32, 4)
        text = table[at + 40 + extra_bytes :][: id_bytes + name_bytes]
        row: dict[str, object] = {
            "id": text[:id_bytes].decode(errors="replace"),
            "name": text[id_bytes:].decode(errors="replace"),
            "vm-state-size": state,
            "date-sec": _number(table, at + 16, 4),
            "date-nsec": _number(table, at + 20, 4),
            "vm-clock-sec": clock_ns // NS_PER_S,
            "vm-clock-nsec": clock_ns % NS_PER_S,
        }
        count = _number(table, at + 56, 8) if extra_bytes >= 24 else NO_COUNT
        found.append(row if count == NO_COUNT else {**row, "icount": count})
        at += -(-(40 + extra_bytes + id_bytes + name_bytes) // 8) * 8
    return found
