"""What a debugger finds that comes by -gdb: no processor. It is told so in its own protocol, and the line ends.

GDB's remote protocol: `$TEXT#SUM`, each acknowledged by `+`; a reply that begins with `E.` is an error in words.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.emulator import Emulator
    from qmpemu.edge.streams import Stream

ANSWER = b"E.qmpemu does not emulate -gdb: there is no virtual CPU to debug"


class GdbFront:
    """A debugger's place behind a stream. The machine goes on meanwhile."""

    def __init__(self, emulator: Emulator, stream: Stream) -> None:
        self._emulator = emulator
        self._stream = stream

    def connected(self) -> None:
        """It speaks first."""

    def received(self, data: bytes, fds: list[int]) -> None:
        """Answer the first thing that it says, and hang up."""
        for fd in fds:
            self._emulator.vm.host.close_fd(fd)
        self._stream.send(b"+$%b#%02x" % (ANSWER, sum(ANSWER) % 256))
        self._stream.finish()

    def drained(self) -> None:
        """Nothing waits for room here."""

    def disconnected(self) -> None:
        """Another may come."""
