r"""Files on drive C:, as far as programs of the simulation and the guest agent use them: a small store, on the disk.

Names are Windows' (any case, `\` or `/`). A few files come with Windows; what is written stays on the disk over
reboots. Sharing is that of the agent's own opens: readers together, a writer alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.windows import winerror

if TYPE_CHECKING:
    from qmpemu.guests.windows.disk import Disk

STORE_MAX_BYTES = 16 << 20
"""Bytes in all files that were written; more is a full disk."""
PATH_MAX = 260
BAD_CHARACTERS = frozenset('<>"|?*')

COMES_WITH_WINDOWS = {
    r"C:\Windows\win.ini": b"; for 16-bit app support\r\n[fonts]\r\n[extensions]\r\n[mci extensions]\r\n[files]\r\n",
    r"C:\Windows\System32\drivers\etc\hosts": b"# localhost name resolution is handled within DNS itself.\r\n",
}
DIRECTORIES = (
    "C:",
    r"C:\Users",
    r"C:\Users\Public",
    r"C:\Users\Administrator",
    r"C:\Windows",
    r"C:\Windows\Temp",
    r"C:\Windows\System32",
    r"C:\Windows\System32\drivers",
    r"C:\Windows\System32\drivers\etc",
    r"C:\Program Files",
    r"C:\ProgramData",
    r"C:\Temp",
)
_DIRECTORY_KEYS = frozenset(each.casefold() for each in DIRECTORIES)


def refused(code: int) -> HostError:
    """A Windows error."""
    return HostError(winerror.TEXTS[code])


class FileStore:
    """The files of one installation."""

    __slots__ = ("_disk", "_names", "_open")

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._names = {name.casefold(): name for name in (*COMES_WITH_WINDOWS, *disk.state.files)}
        self._open: list[File] = []

    @property
    def used_bytes(self) -> int:
        """What was written."""
        return sum(map(len, self._disk.state.files.values()))

    def find(self, path: str) -> bytes | None:
        """A file's content, None if there is none. Raises HostError for what cannot be a path."""
        name = self._names.get(normal(path).casefold())
        if name is None:
            return None
        written = self._disk.state.files
        return written[name] if name in written else COMES_WITH_WINDOWS[name]

    def open(self, path: str, mode: str) -> File:
        """CreateFile as the agent calls it; mode: r, w, a, with `+`. Raises HostError."""
        path = normal(path)
        key, writes = path.casefold(), mode != "r"
        if key in _DIRECTORY_KEYS:
            raise refused(winerror.ACCESS_DENIED)
        if key.rpartition("\\")[0] not in _DIRECTORY_KEYS:
            raise refused(winerror.PATH_NOT_FOUND)
        content = self.find(path)
        if content is None and mode.startswith("r"):
            raise refused(winerror.FILE_NOT_FOUND)
        if any(each.key == key and (writes or each.writes) for each in self._open):
            raise refused(winerror.SHARING_VIOLATION)
        path = self._names.setdefault(key, path)
        file = File(self, path, bytearray(content or b""), mode)
        if mode.startswith("w") or content is None:
            file.content.clear()
            self.save(path, file.content)
        self._open.append(file)
        return file

    def remove(self, path: str) -> None:
        """DeleteFile. Raises HostError."""
        name = self._names.get(normal(path).casefold())
        if name is None:
            raise refused(winerror.FILE_NOT_FOUND)
        if any(each.path == name for each in self._open):
            raise refused(winerror.SHARING_VIOLATION)
        if name in COMES_WITH_WINDOWS:
            raise refused(winerror.ACCESS_DENIED)
        del self._names[name.casefold()]
        kept = {each: data for each, data in self._disk.state.files.items() if each != name}
        self._disk.change(files=kept)

    def save(self, path: str, content: bytearray) -> None:
        """Keep a file's content on the disk. Raises HostError when it is full."""
        others = {name: data for name, data in self._disk.state.files.items() if name != path}
        if sum(map(len, others.values())) + len(content) > STORE_MAX_BYTES:
            raise refused(winerror.DISK_FULL)
        self._disk.change(files={**others, path: bytes(content)})

    def released(self, file: File) -> None:
        """A file is no longer open."""
        if file in self._open:
            self._open.remove(file)


class File:
    """An open file (`guests.agent.host.OpenFile`)."""

    __slots__ = ("_mode", "_position", "_store", "_unsaved", "content", "key", "path", "writes")

    def __init__(self, store: FileStore, path: str, content: bytearray, mode: str) -> None:
        self._store = store
        self._mode = mode
        self._position = 0
        self._unsaved = False
        self.path = path
        self.key = path.casefold()
        self.content = content
        self.writes = mode != "r"

    def read(self, size: int) -> bytes:
        """ReadFile. Raises HostError."""
        if self._mode in ("w", "a"):
            raise refused(winerror.ACCESS_DENIED)
        data = bytes(self.content[self._position : self._position + size])
        self._position += len(data)
        return data

    def write(self, data: bytes) -> None:
        """WriteFile. Raises HostError."""
        if not self.writes:
            raise refused(winerror.ACCESS_DENIED)
        at = len(self.content) if self._mode.startswith("a") else self._position
        if at + len(data) > STORE_MAX_BYTES:
            raise refused(winerror.DISK_FULL)
        self.content.extend(bytes(max(0, at - len(self.content))))
        self.content[at : at + len(data)] = data
        self._position = at + len(data)
        self._unsaved = True

    def seek(self, offset: int, whence: int) -> int:
        """SetFilePointerEx. Raises HostError."""
        position = (0, self._position, len(self.content))[whence] + offset
        if position < 0:
            raise refused(winerror.NEGATIVE_SEEK)
        self._position = position
        return position

    def flush(self) -> None:
        """FlushFileBuffers. Raises HostError."""
        if not self.writes:
            raise refused(winerror.ACCESS_DENIED)
        if self._unsaved:
            self._store.save(self.path, self.content)
            self._unsaved = False

    def close(self) -> None:
        """CloseHandle: what was written stays; what no longer fits on the disk does not."""
        self._store.released(self)
        if self._unsaved:
            try:
                self.flush()
            except HostError:  # as the cache manager: delayed writes are lost
                self._unsaved = False


def normal(path: str) -> str:
    r"""A path in the form `C:\a\b`. Raises HostError."""
    text = path.replace("/", "\\")
    if text.startswith("\\") and not text.startswith("\\\\"):
        text = "C:" + text
    drive, rest = text[:2], text[2:]
    if len(text) > PATH_MAX or (not rest.startswith("\\") and rest):
        raise refused(winerror.PATH_NOT_FOUND)
    if drive[1:] != ":" or drive[0].upper() != "C":
        raise refused(winerror.PATH_NOT_FOUND)
    parts: list[str] = []
    for part in rest.split("\\"):
        if BAD_CHARACTERS.intersection(part) or ":" in part or any(ord(c) < 32 for c in part):
            raise refused(winerror.INVALID_NAME)
        if part == "..":
            del parts[-1:]
        elif part.strip(" ") not in ("", "."):
            parts.append(part.rstrip(" ."))
    return "\\".join(["C:", *parts])
