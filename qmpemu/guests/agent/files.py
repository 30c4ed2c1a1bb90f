"""Files of the guest, by handles that are numbered from 1000 on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.agent.registry import command, decoded, encoded
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.agent.host import Agent, OpenFile

READ_DEFAULT_BYTES, READ_MAX_BYTES = 4096, 48 << 20
"""Of guest-file-read (measured)."""
HANDLES_MAX = 1024
MODES = ("r", "rb", "w", "wb", "a", "r+", "rb+", "r+b", "w+", "wb+", "w+b", "a+", "ab+", "a+b")
"""What the Windows build takes: all of C's but `ab`."""
WHENCE = {"set": 0, "cur": 1, "end": 2}


def _file(agent: Agent, handle: int) -> OpenFile:
    file = agent.files.get(handle)
    if file is None:
        raise QmpError(f"handle '{handle}' has not been found")
    return file


def _count_refused(count: int) -> QmpError:
    return QmpError(f"value '{count}' is invalid for argument count")


@command("guest-file-open", acts=True, path="str", mode="str?")
def guest_file_open(agent: Agent, path: str, mode: str = "r") -> object:
    """Open a file; its handle."""
    if mode not in MODES:
        raise QmpError("invalid file open mode")
    if len(agent.files) >= HANDLES_MAX:
        raise QmpError("failed to add handle to qmp handle table")
    try:
        file = agent.host.programs.open(path, mode.replace("b", ""))
    except HostError as error:
        raise QmpError(f"failed to open file '{path}': {error}") from None
    handle = agent.next_handle
    agent.next_handle += 1
    agent.files[handle] = file
    return handle


@command("guest-file-close", acts=True, handle="int")
def guest_file_close(agent: Agent, handle: int) -> object:
    """Close a file."""
    _file(agent, handle).close()
    del agent.files[handle]
    return {}


@command("guest-file-read", handle="int", count="int?")
def guest_file_read(agent: Agent, handle: int, count: int = READ_DEFAULT_BYTES) -> object:
    """Read on; on Windows the end is only known when nothing comes any more."""
    file = _file(agent, handle)
    if not 0 <= count <= READ_MAX_BYTES:
        raise _count_refused(count)
    try:
        data = file.read(count)
    except HostError as error:
        raise QmpError(f"failed to read file: {error}") from None
    return {"count": len(data), "buf-b64": encoded(data), "eof": not data}


@command("guest-file-write", acts=True, handle="int", buf_b64="str", count="int?")
def guest_file_write(agent: Agent, handle: int, buf_b64: str, count: int | None = None) -> object:
    """Write; count: only so many of the bytes."""
    file, data = _file(agent, handle), decoded(buf_b64)
    if count is not None and not 0 <= count <= len(data):
        raise _count_refused(count)
    data = data[:count]
    try:
        file.write(data)
    except HostError as error:
        raise QmpError(f"failed to write to file: {error}") from None
    return {"count": len(data), "eof": False}


@command("guest-file-seek", handle="int", offset="int", whence="GuestFileWhence")
def guest_file_seek(agent: Agent, handle: int, offset: int, whence: int | str) -> object:
    """Move the position; whence: a name, or the number it once was."""
    file = _file(agent, handle)
    code = WHENCE[whence] if isinstance(whence, str) else whence
    if code not in WHENCE.values():
        raise QmpError(f"invalid whence code {code}")
    try:
        position = file.seek(offset, code)
    except HostError as error:
        raise QmpError(f"failed to seek file: {error}") from None
    return {"position": position, "eof": False}


@command("guest-file-flush", acts=True, handle="int")
def guest_file_flush(agent: Agent, handle: int) -> object:
    """Write out what is buffered."""
    try:
        _file(agent, handle).flush()
    except HostError as error:
        raise QmpError(f"failed to flush file: {error}") from None
    return {}
