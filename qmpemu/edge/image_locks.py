"""Locks on image files as QEMU takes them, so that neither lets in the other's second writer.

A lock is on one byte for each thing that is done to the file, and on one for each that nobody else may do. All are
shared ones of an open file description: they end with the process, however it ends. Whether somebody stands against
it is seen by asking for an exclusive one (facts/libvirt.md §2; the bytes were measured on QEMU 7.2).
"""

from __future__ import annotations

import os
from fcntl import F_RDLCK, F_UNLCK, F_WRLCK, fcntl
from struct import calcsize, pack, unpack_from

from qmpemu.core.table import Refused
from qmpemu.machine.block.locks import HINT, NAMES
from qmpemu.machine.host import ImageLock

F_OFD_GETLK, F_OFD_SETLK = 36, 37
USED_AT, UNSHARED_AT = 100, 200
FLOCK = "@hhqqi0q"
"""struct flock: kind, whence, first byte, count, process."""
WITHOUT_NAME: dict[str, dict[str, bytes]] = {}
"""What is kept of images that no folder lists any more: by the descriptor's path, with which it ends, and by name."""


class FileLock(ImageLock):
    """The locks on one file; a file that cannot be opened, or a file system without locks, has none."""

    __slots__ = ("_fd", "_held", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: frozenset[int] = frozenset()
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def set(self, used: frozenset[int], unshared: frozenset[int]) -> None:
        """Hold exactly these. Raises Refused where somebody stands against one; then it is as before."""
        if self._fd < 0:
            return
        wanted = frozenset({USED_AT + each for each in used} | {UNSHARED_AT + each for each in unshared})
        new = wanted - self._held
        try:
            self._move(new, F_RDLCK)
            self._check(used, unshared)
        except OSError:  # no locks here
            return
        except Refused:
            self._move(new, F_UNLCK)
            raise
        self._move(self._held - wanted, F_UNLCK)
        self._held = wanted

    def elsewhere(self) -> str | None:
        """By this process's descriptor, if its name leads to another file or to none."""
        if self._fd < 0:
            return None
        try:
            there = os.stat(self._path)
        except OSError:
            there = None
        here = os.fstat(self._fd)
        if there is not None and (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return None
        return self._by_descriptor()

    def _by_descriptor(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def close(self) -> None:
        """Hold nothing any more."""
        if self._fd >= 0:
            WITHOUT_NAME.pop(self._by_descriptor(), None)  # another image may be at this path soon
            os.close(self._fd)
            self._fd = -1

    def _move(self, places: frozenset[int], kind: int) -> None:
        for place in places:
            fcntl(self._fd, F_OFD_SETLK, pack(FLOCK, kind, os.SEEK_SET, place, 1, 0))

    def _check(self, used: frozenset[int], unshared: frozenset[int]) -> None:
        hint = HINT.format(path=self._path)
        for number, name in enumerate(NAMES):
            if number in used and self._stands_against(UNSHARED_AT + number):
                raise Refused(f'Failed to get "{name}" lock', hint)
            if number in unshared and self._stands_against(USED_AT + number):
                raise Refused(f'Failed to get shared "{name}" lock', hint)

    def _stands_against(self, place: int) -> bool:
        asked = pack(FLOCK, F_WRLCK, os.SEEK_SET, place, 1, 0)
        told = fcntl(self._fd, F_OFD_GETLK, asked)
        return bool(unpack_from("@h", told)[0] != F_UNLCK)


assert calcsize(FLOCK) % 8 == 0, "as the C structure ends"
