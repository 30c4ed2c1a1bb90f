"""What boots without firmware: -kernel, -append, -initrd and -dtb. It is not run; a file that cannot be is refused.

Order and texts as measured on QEMU 7.2, which looks at the header of a Linux image (Linux boot protocol).
"""

from __future__ import annotations

import os

from qmpemu.edge.argv.parser import Parser, Unprefixed, option

HEADER_BYTES = 8192
SIGNATURE_AT, VERSION_AT, SECTORS_AT = 0x202, 0x206, 0x1F1
WITH_RAM_DISK, WITH_DEVICE_TREE = 0x200, 0x209
"""The first versions of the protocol."""
SECTOR_BYTES = 512
DEFAULT_SECTORS = 4
MULTIBOOT = b"\x02\xb0\xad\x1b"
VIDEO_MODES = ("normal", "ext", "ask")


@option("kernel", "append", "initrd", "dtb")
def _kernel(parser: Parser, argument: str) -> None:
    parser.config.not_emulated.append(parser.typed)
    parser.boots[parser.typed.partition(" ")[0].lstrip("-")] = argument


def check(boots: dict[str, str]) -> None:
    """All of them together. Raises Unprefixed."""
    path = boots.get("kernel")
    if path is None:
        for name in ("append", "initrd"):
            if name in boots:
                raise Unprefixed(f"-{name} only allowed with -kernel option")
        return
    if not os.path.exists(path):
        raise _qemu(f"could not open kernel file '{path}': No such file or directory")
    header, size_bytes = _read(path)
    if MULTIBOOT in header and header[SIGNATURE_AT : SIGNATURE_AT + 4] != b"HdrS":
        _check_module(boots.get("initrd"))
        return
    if header.startswith(b"\x7fELF"):  # which is loaded without a look at the rest
        return
    _check_linux(boots, header, size_bytes)


def _read(path: str) -> tuple[bytes, int]:
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER_BYTES)
            size_bytes = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise _qemu(f"could not load kernel '{path}': {error.strerror}") from None
    if not header:
        raise _qemu(f"could not load kernel '{path}': No such file or directory")
    return header, size_bytes


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
