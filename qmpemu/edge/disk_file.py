"""The guest's disk as a file: what of a simulated Windows outlives its process, beside the image it belongs to.

    vm.qcow2            the image, as the user gave it
    vm.qcow2.qmpemu     one line about itself (format, length, checksum), then the state as JSON

Every save writes a new file, syncs it and renames it over the old one, so that a kill at any byte leaves the old state
or the new one. A file that is torn, foreign or of another format is refused with one sentence and never written to.
"""

from __future__ import annotations

import os
import stat

from qmpemu.edge.keyval import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qmpemu.guests.guest import MemoryStore
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node

ENDING = ".qmpemu"
RAW = ("raw", "file")
"""Drivers under which the image is the disk byte for byte."""
MAGIC = b"qmpemu disk state"
FORMAT = 1
STATE_BYTES_MAX = 16 << 20
IN_MEMORY = "none"
"""QMPEMU_DISK's value for a guest that forgets everything with its process."""


class FileStore:
    """A store (`guests.guest.Store`) in a file. Raises OptionError for a file that is none of ours."""

    def __init__(self, path: str, report: Callable[[str], object], image: str | None = None) -> None:
        """image: a raw disk image whose file systems show the dirty flag as well."""
        self.path = path
        self._report = report
        self._image = image
        self._failed = False
        self._data = read(path)

    def load(self) -> bytes | None:
        """What was saved last, by this process or an earlier one."""
        return self._data

    def save(self, data: bytes) -> None:
        """Keep this instead. A disk that cannot be written to is reported once, and then kept in memory."""
        self._data = data
        if self._failed:
            return
        try:
            write(self.path, data)
        except OSError as error:
            self._failed = True
            self._report(
                f"cannot write {self.path}: {error.strerror}; the next start will not know of this one"
            )

    def mark(self, dirty: bool) -> None:
        """Set or clear the dirty flag of each FAT32 and NTFS volume in the image; what fails is reported once."""
        if self._image is None:
            return
        from qmpemu.edge.volumes import VolumeError, find

        try:
            for volume in find(self._image):
                volume.mark(dirty)
        except VolumeError as error:
            self._report(f"the dirty flag of volumes in {self._image} is not kept: {error}")
            self._image = None


def choose(
    environment: Mapping[str, str], blocks: Blocks, report: Callable[[str], object]
) -> FileStore | MemoryStore | None:
    """The store that QMPEMU_DISK names, else that of the first disk image; None to keep it in memory.

    What is written to a drive with `snapshot=on` is forgotten, and begins with what was saved for its image.
    """
    asked = environment.get("QMPEMU_DISK")
    if asked == IN_MEMORY:
        return None
    node = _first_disk(blocks)
    if node is not None and node.path in blocks.temporary and not asked and node.backing is not None:
        from qmpemu.guests.guest import MemoryStore

        return MemoryStore(read(node.backing.path + ENDING))
    path = asked or (node.path + ENDING if node is not None else None)
    image = node.path if node is not None and node.driver in RAW else None
    return FileStore(path, report, image) if path else None


def _first_disk(blocks: Blocks) -> Node | None:
    """The first disk that can be written to and is a file; a firmware's flash is no disk."""
    for drive in blocks.drives:
        node = drive.node
        if drive.removable or not drive.driver or node is None or node.read_only:
            continue
        try:
            if stat.S_ISREG(os.stat(node.path).st_mode):
                return node
        except OSError:
            continue
    return None


def read(path: str) -> bytes | None:
    """What a state file holds; None where there is none. Raises OptionError."""
    try:
        with open(path, "rb") as file:
            whole = file.read(STATE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OptionError(f"disk state {path} cannot be read: {error.strerror}") from None
    head, _, data = whole.partition(b"\n")
    if not head.startswith(MAGIC):
        raise OptionError(
            f"{path} is no disk state of qmpemu: move it away, or name another file with QMPEMU_DISK"
        )
    from zlib import crc32  # late: a start without such a file needs none

    words = head[len(MAGIC) :].split()
    if words[:1] != [b"%d" % FORMAT]:
        raise OptionError(
            f"disk state {path} is of another format than {FORMAT}: it was written by another qmpemu"
        )
    if words[1:] != [b"%d" % len(data), b"%08x" % crc32(data)]:
        raise OptionError(f"disk state {path} is damaged: move it away to start with a fresh Windows")
    return data


def write(path: str, data: bytes) -> None:
    """All or nothing, on the disk when this returns."""
    from zlib import crc32

    folder = os.path.dirname(os.path.abspath(path))
    new = f"{path}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:
            file.write(b"%b %d %d %08x\n" % (MAGIC, FORMAT, len(data), crc32(data)) + data)
            file.flush()
            os.fsync(fd)
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)
