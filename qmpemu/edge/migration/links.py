"""A migration's link over a descriptor: a socket goes both ways, a pipe or a file one.

    send ──> queue ──(as there is room)──> descriptor ──> on_drained        on_data <── descriptor (sockets, incoming)

Regular files cannot be waited for and never block: they are written and read at once.
"""

from __future__ import annotations

import os
import stat

from qmpemu.core.table import Refused
from qmpemu.machine.migration.link import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.edge.loop import Loop
    from qmpemu.edge.tls.session import Session
    from qmpemu.machine.machine import Machine

    Around = Callable[[Callable[[], object]], object]

PIECE_BYTES = 1 << 18
NO_READ, NO_WRITE = (f"Cannot {verb} TLS channel: Input/output error" for verb in ("read from", "write to"))
NO_PULL = "TLS handshake failed: Error in the pull function."
READS_AT_START = 3


class FdLink(Link):
    """Owns `fd`. noun: what QEMU calls it in errors (socket, command, file). reads: data is expected from it."""

    def __init__(
        self, loop: Loop, around: Around, fd: int, *, machine: Machine, noun: str, reads: bool
    ) -> None:
        super().__init__()
        self._machine = machine
        self._reads = reads
        self._tls: Session | None = None
        self._tell_secured: Callable[[str], object] | None = None
        kind = os.fstat(fd).st_mode
        self.two_way = stat.S_ISSOCK(kind)
        self._waits = not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)
        self._loop = loop
        self._around = around
        self._fd = fd
        self._noun = noun
        self._queue = bytearray()
        self._heard_any = False
        self._closing = self._closed = False
        os.set_inheritable(fd, False)
        if self._waits:
            os.set_blocking(fd, False)
        if reads or self.two_way:
            if self._waits:
                loop.add_reader(fd, self._readable)
            else:
                loop.call_soon(self._readable)

    def secure(self, server: bool, hostname: str, tell: Callable[[str], object]) -> None:
        """Begin TLS, with the credentials of the migration parameters."""
        from qmpemu.edge.tls import loading

        objects, parameters = self._machine.objects, self._machine.migration.parameters
        try:
            found = loading.find(objects, parameters["tls-creds"])
            allows = loading.judge(objects, parameters["tls-authz"]) if server else None
            self._tls = found.session("server" if server else "client", hostname, allows)
        except Refused as refused:
            tell(str(refused))
            return
        if not self.two_way:  # the real one waits for ever for an answer through a pipe
            tell(NO_PULL)
            return
        self._tell_secured = tell
        self._queue_raw(self._tls.owed())

    def send(self, data: bytes) -> None:
        """Queue and write what there is room for."""
        self._queue_raw(data if self._tls is None else self._tls.sending(data))

    def _queue_raw(self, data: bytes) -> None:
        if self._closed or self._closing or not data:
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
            self._broke(f"Unable to write to {self._noun}: {error.strerror}")
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
            self._broke(f"Unable to read from {self._noun}: {error.strerror}")
            return
        if self._tls is not None:
            self._records(self._tls, data)
        elif not data:
            self._fail("")
        else:
            self._around(lambda: self.on_data(data))
        if not self._waits and data:
            self._loop.call_soon(self._readable)

    def _broke(self, why: str) -> None:
        """The operating system says that nothing goes any more."""
        if self._tls is None:
            self._fail(why)
        elif self._tls.secured or self._tell_secured is None:
            self._lost_tls()
        elif not self._tls.failure:  # which is told once it has been sent, or not
            tell, self._tell_secured = self._tell_secured, None
            self._loop.remove_reader(self._fd)
            self._loop.call_soon(lambda: self._around(lambda: tell(NO_PULL)))

    def _records(self, tls: Session, data: bytes) -> None:
        """What came, TLS taken off; b"" for the end."""
        plain = tls.received(data) if data else b""
        if not data:
            tls.ended()
        self._queue_raw(tls.owed())
        if self._tell_secured is not None and (tls.secured or tls.failure):
            tell, self._tell_secured = self._tell_secured, None
            self._around(lambda: tell(tls.failure))
        if plain:
            self._heard_any = True
            self._around(lambda: self.on_data(plain))
        if tls.secured and (tls.failure or not data):
            self._lost_tls()

    def _lost_tls(self) -> None:
        """Within the records; the real one tells of each read that it tries (measured)."""
        if self._reads:
            for _ in range(1 if self._heard_any else READS_AT_START):
                self._machine.host.report(NO_READ)
        self._fail("" if self._reads else NO_WRITE)

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
