"""A raw disk image: a file that is read at byte offsets, and written one byte at a time.

Only regular files are opened, and no file whose first bytes say that it is an image of another format: in a qcow2
file, the offsets of a volume mean nothing.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

FOREIGN_MAGICS = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\x00", "QED"),
    (0, b"KDMV", "VMDK"),
    (0, b"COWD", "VMDK"),
    (0, b"# Disk DescriptorFile", "VMDK"),
    (0, b"vhdxfile", "VHDX"),
    (0, b"conectix", "VHD"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (0, b"WithoutFreeSpace", "Parallels"),
    (0, b"WithouFreSpacExt", "Parallels"),
    (0x40, b"\x7f\x10\xda\xbe", "VDI"),
)
"""Offset, bytes and name of what is no raw image. A fixed-size VHD begins like a raw one, and may be used as one."""


class VolumeError(Exception):
    """An image whose volumes cannot be had: one sentence, beginning with the image's path."""


def le(data: bytes, offset: int, length: int) -> int:
    """The little-endian number of `length` bytes at `offset`, as every format here stores it."""
    return int.from_bytes(data[offset : offset + length], "little")


class Image:
    """An open raw image; a context manager. Raises VolumeError where the file cannot be opened, read or written."""

    __slots__ = ("_fd", "path", "size_bytes")

    def __init__(self, path: str, *, writable: bool = False) -> None:
        self.path = path
        try:  # O_NONBLOCK: opening a FIFO must not wait for its other end
            self._fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise self.failure(_reason(error)) from None
        try:
            self.size_bytes = self._measured()
            self._refuse_other_formats()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def failure(self, reason: str) -> VolumeError:
        """The error to raise for `reason`."""
        return VolumeError(f"{self.path}: {reason}")

    def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes at `offset`, all of them: an image that ends before is an error."""
        if not 0 <= offset <= self.size_bytes - length:
            raise self.failure(f"byte {offset} is beyond the end of the image: it is truncated or corrupt")
        try:
            data = os.pread(self._fd, length, offset)
        except OSError as error:
            raise self.failure(_reason(error)) from None
        if len(data) != length:
            raise self.failure("the image became shorter while it was read")
        return data

    def put(self, offset: int, byte: int) -> None:
        """Replace one byte in place: what cannot be torn, and changes nothing around it."""
        try:
            os.pwrite(self._fd, bytes((byte,)), offset)
        except OSError as error:
            raise self.failure(_reason(error)) from None

    def sync(self) -> None:
        """Return when what was put is on the disk. Only bytes changed, so the file's times need not be."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise self.failure(_reason(error)) from None

    def _measured(self) -> int:
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            raise self.failure("it is not a regular file")
        return found.st_size

    def _refuse_other_formats(self) -> None:
        head = self.read(0, min(self.size_bytes, 512))
        for offset, magic, name in FOREIGN_MAGICS:
            if head.startswith(magic, offset):
                raise self.failure(f"it is a {name} image, and only raw images can be searched for volumes")


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
