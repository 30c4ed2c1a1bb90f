"""The storage daemon's process, apart from the talk with it: it starts while ours imports what it talks with.

It is killed with this process by the kernel; nobody else can reach the socket of its monitor.
"""

from __future__ import annotations

import os

from qmpemu.edge.child import found, spawn
from qmpemu.edge.sockets import SIGKILL, socketpair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.sockets import socket

PROGRAM = "qemu-storage-daemon"
MONITOR = ("--chardev", "socket,id=c,fd=3", "--monitor", "chardev=c")


class StorageProcess:
    """A started one. socket: our end of its monitor's. Raises FileNotFoundError where it is not installed."""

    def __init__(self) -> None:
        program = found(PROGRAM)
        if program is None:
            raise FileNotFoundError(PROGRAM)
        self.socket: socket
        self.socket, theirs = socketpair()
        self._pid = spawn([program, *MONITOR], None, 1, 2, theirs.fileno())  # it tells which files it makes
        theirs.close()

    def end(self) -> None:
        """Kill it, if it has not ended; what it had to close it has closed by now."""
        self.socket.close()
        os.kill(self._pid, SIGKILL)
        os.waitpid(self._pid, 0)
