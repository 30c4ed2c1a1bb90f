"""What boots without firmware: -kernel, -append, -initrd and -dtb. It is not run; a file that cannot be is refused.

Order and texts as measured on QEMU 7.2, which looks at the header of a Linux image (Linux boot protocol).
"""

from __future__ import annotations

import os
from struct import unpack_from

from qmpemu.edge.argv.parser import Parser, Unprefixed, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER_BYTES = 8192
SIGNATURE_AT, VERSION_AT, SECTORS_AT = 0x202, 0x206, 0x1F1
WITH_RAM_DISK, WITH_DEVICE_TREE = 0x200, 0x209
"""The first versions of the protocol."""
SECTOR_BYTES = 512
DEFAULT_SECTORS = 4
ELF, ELF_64 = b"\x7fELF", 2
NOTES, NOTE_HEAD_BYTES = 4, 12
PVH_ENTRY = (b"Xen", 18)
"""Owner and type of the note that says where a kernel is entered (Xen's PVH boot protocol)."""
MULTIBOOT = b"\x02\xb0\xad\x1b"
VIDEO_MODES = ("normal", "ext", "ask")


@option("kernel", "append", "initrd", "dtb")
def _kernel(parser: Parser, argument: str) -> None:
    parser.config.not_emulated.append(parser.typed)
    parser.boots[parser.typed.partition(" ")[0].lstrip("-")] = argument


def check(boots: dict[str, str], family: str) -> None:
    """All of them together, for a board of that family. Raises Unprefixed."""
    path = boots.get("kernel")
    if path is None:
        for name in ("append", "initrd"):
            if name in boots:
                raise Unprefixed(f"-{name} only allowed with -kernel option")
        return
    if family == "none":
        raise Unprefixed("The -kernel parameter is not supported (use the generic 'loader' device instead).")
    if not os.path.exists(path):
        raise _qemu(f"could not open kernel file '{path}': No such file or directory")
    header, size_bytes = _read(path)
    if MULTIBOOT in header and header[SIGNATURE_AT : SIGNATURE_AT + 4] != b"HdrS":
        _check_module(boots.get("initrd"))
        return
    if header.startswith(ELF):  # which is loaded without a look at the rest
        with open(path, "rb") as file:
            if not _has_entry(file, header):
                raise Unprefixed("Error loading uncompressed kernel without PVH ELF Note")
        return
    _check_linux(boots, header, size_bytes)


def _read(path: str) -> tuple[bytes, int]:
    """Its first bytes and how many there are; what a folder answers depends on its file system."""
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            size_bytes = os.lseek(fd, 0, os.SEEK_END)
            header = os.pread(fd, HEADER_BYTES, 0)
        finally:
            os.close(fd)
    except OSError as error:
        raise _qemu(f"could not load kernel '{path}': {error.strerror}") from None
    if not header:
        raise _qemu(f"could not load kernel '{path}': No such file or directory")
    return header, size_bytes


def _has_entry(file: BinaryIO, header: bytes) -> bool:
    """Whether an ELF file has Xen's note of a 32-bit entry point (PVH), by its program headers."""
    wide = header[4] == ELF_64
    table, size, count = unpack_from("<Q14xHH", header, 32) if wide else unpack_from("<I10xHH", header, 28)
    for number in range(count):
        file.seek(table + number * size)
        part = file.read(size)
        kind, at, length = unpack_from("<I4xQ16xQ", part) if wide else unpack_from("<II8xI", part)
        if kind == NOTES:
            file.seek(at)
            if any(
                (owner, kind) == PVH_ENTRY and any(entry) for owner, kind, entry in _notes(file.read(length))
            ):
                return True
    return False


def _notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Owner, type and description of each."""
    at = 0
    while at + NOTE_HEAD_BYTES <= len(data):
        name, description, kind = unpack_from("<III", data, at)
        at += NOTE_HEAD_BYTES
        body = at + -(-name // 4) * 4
        yield data[at : at + name].rstrip(b"\0"), kind, data[body : body + description]
        at = body + -(-description // 4) * 4


def _check_module(path: str | None) -> None:
    """What a multiboot kernel is given."""
    if path is not None and not os.path.isfile(path):
        raise Unprefixed(f"Failed to open file '{path}'")


def _check_linux(boots: dict[str, str], header: bytes, size_bytes: int) -> None:
    signed = header[SIGNATURE_AT : SIGNATURE_AT + 4] == b"HdrS"
    version = int.from_bytes(header[VERSION_AT : VERSION_AT + 2], "little") if signed else 0
    mode = boots.get("append", "").partition("vga=")[2].partition(" ")[0]
    if "vga=" in boots.get("append", "") and not mode.startswith(VIDEO_MODES) and not mode[:1].isdigit():
        raise _qemu("invalid 'vga=' kernel parameter.")
    disk = boots.get("initrd")
    if disk is not None:
        if version < WITH_RAM_DISK:
            raise _qemu("linux kernel too old to load a ram disk")
        if not os.path.exists(disk):
            raise _qemu(
                f"error reading initrd {disk}: Failed to open file \u201c{disk}\u201d: open() failed: "
                "No such file or directory"
            )
    sectors = (header[SECTORS_AT] if len(header) > SECTORS_AT else 0) or DEFAULT_SECTORS
    if (sectors + 1) * SECTOR_BYTES > size_bytes:
        raise _qemu("invalid kernel header")
    tree = boots.get("dtb")
    if tree is not None:
        if version < WITH_DEVICE_TREE:
            raise _qemu("Linux kernel too old to load a dtb")
        if not os.path.isfile(tree) or not os.path.getsize(tree):
            raise _qemu(f"error reading dtb {tree}: No such file or directory")


def _qemu(text: str) -> Unprefixed:
    return Unprefixed(text, program="qemu")
