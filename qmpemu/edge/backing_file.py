"""A file that backs guest memory (memory-backend-file): made where it is missing, of the size that is asked for.

Nothing is ever written to it: the guest has no memory. It is there for who waits for it, as with QEMU.
"""

from __future__ import annotations

import errno
import os

from qmpemu.core.table import Refused


def back_memory(path: str, size: int) -> None:
    """See that `path` can back `size` bytes; a folder holds a file without a name. Raises Refused."""
    made = False
    try:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            fd, made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), True
    except IsADirectoryError:
        return
    except OSError as error:
        raise Refused(f"can't open backing store {path} for guest RAM: {error.strerror}") from None
    try:
        _fit(fd, size)
    except Refused:
        if made:
            os.unlink(path)
        raise
    finally:
        os.close(fd)


def _fit(fd: int, size: int) -> None:
    """Raises Refused where the file is too small, or is none that can be mapped."""
    from mmap import mmap

    there = os.fstat(fd).st_size
    if 0 < there < size:
        raise Refused(f"backing store size {there:#x} does not match 'size' option {size:#x}")
    try:
        if there == 0:
            os.ftruncate(fd, size)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a device has no size
            raise Refused(f"can't open backing store for guest RAM: {error.strerror}") from None
    try:
        mmap(fd, 1).close()
    except OSError as error:
        raise Refused(f"unable to map backing store for guest RAM: {error.strerror}") from None
