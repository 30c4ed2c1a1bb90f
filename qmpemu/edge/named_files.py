"""Files that an option names: by path, or `/dev/fdset/N`, a descriptor that was passed into a set.

Of a set that descriptor is taken which was opened for what is wanted. Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

import errno
import os
from fcntl import F_DUPFD_CLOEXEC, F_GETFL, fcntl

from qmpemu.edge.keyval import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.fdsets import FdSets

FDSET = "/dev/fdset/"
MODE = 0o666


def open_named(path: str, flags: int, sets: FdSets) -> int:
    """A descriptor of the file. Raises OptionError."""
    try:
        if path.startswith(FDSET):
            return _passed(path, flags, sets)
        return os.open(path, flags | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise OptionError(f"{_failed(path, flags)}: {error.strerror}") from None


def _failed(path: str, flags: int) -> str:
    doing = "create" if flags & os.O_CREAT else "open"
    if path.startswith(FDSET) and flags & os.O_CREAT:
        return f"Could not dup FD for {path} flags {flags:x}"
    return f"Could not {doing} '{path}'"


def _passed(path: str, flags: int, sets: FdSets) -> int:
    """A copy of the set's descriptor. Raises OSError."""
    number = path.removeprefix(FDSET)
    there = sets.sets.get(int(number)) if number.isdigit() else None
    if there is None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for each in there:
        if fcntl(each.fd, F_GETFL) & os.O_ACCMODE == flags & os.O_ACCMODE:
            sets.hold(int(number))
            return fcntl(each.fd, F_DUPFD_CLOEXEC, 0)
    raise OSError(errno.EACCES, os.strerror(errno.EACCES))
