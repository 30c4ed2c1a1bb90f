"""A migration's link over a descriptor: a socket goes both ways, a pipe or a file one.

    send ──> queue ──(as there is room)──> descriptor ──> on_drained        on_data <── descriptor (sockets, incoming)

Regular files cannot be waited for and never block: they are written and read at once.
"""

from __future__ import annotations

import os
import stat

from qmpemu.machine.migration.link import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.edge.loop import Loop

    Around = Callable[[Callable[[], object]], object]

PIECE_BYTES = 1 << 18


class FdLink(Link):
    """Owns `fd`. noun: what QEMU calls it in errors (socket, command, file). reads: data is expected from it."""

    def __init__(self, loop: Loop, around: Around, fd: int, *, noun: str, reads: bool) -> None:
        super().__init__()
        kind = os.fstat(fd).st_mode
        self.two_way = stat.S_ISSOCK(kind)
        self._waits = not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)
        self._loop = loop
        self._around = around
        self._fd = fd
        self._noun = noun
        self._queue = bytearray()
        self._closing = self._closed = False
        os.set_inheritable(fd, False)
        if self._waits:
            os.set_blocking(fd, False)
        if reads or self.two_way:
            if self._waits:
                loop.add_reader(fd, self._readable)
            else:
                loop.call_soon(self._readable)

    def send(self, data: bytes) -> None:
        """Queue and write what there is room for."""
        if self._closed or self._closing:
            return
        idle = not self._queue
        self._queue += data
        if idle:
            self._write()

    def close(self) -> None:
        """Part; what is queued is still written."""
        if self._closed or self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._fd) if self._waits else None
        if not self._queue:
            self._release()

    def _write(self) -> None:
        try:
            while self._queue:
                written = os.write(self._fd, self._queue[:PIECE_BYTES])
                del self._queue[:written]
        except BlockingIOError:
            self._loop.add_writer(self._fd, self._write)
            return
        except OSError as error:
            self._queue.clear()
            self._loop.remove_writer(self._fd) if self._waits else None
            self._fail(f"Unable to write to {self._noun}: {error.strerror}")
            return
        if self._waits:
            self._loop.remove_writer(self._fd)
        if self._closing:
            self._release()
        else:
            self._loop.call_soon(self._drained)

    def _drained(self) -> None:
        if not self._queue and not self._closing and not self._closed:
            self._around(self.on_drained)

    def _readable(self) -> None:
        if self._closed or self._closing:
            return
        try:
            data = os.read(self._fd, PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(f"Unable to read from {self._noun}: {error.strerror}")
            return
        if not data:
            self._fail("")
            return
        self._around(lambda: self.on_data(data))
        if not self._waits:
            self._loop.call_soon(self._readable)

    def _fail(self, why: str) -> None:
        """The peer is gone; told from the loop, since a write may fail inside of `send`."""
        if self._waits:
            self._loop.remove_reader(self._fd)
        if self._closing:
            self._release()
        else:
            self._loop.call_soon(lambda: None if self._closed else self._around(lambda: self.on_end(why)))

    def _release(self) -> None:
        if not self._closed:
            self._closed = True
            if self._waits:
                self._loop.remove_reader(self._fd)
                self._loop.remove_writer(self._fd)
            os.close(self._fd)
