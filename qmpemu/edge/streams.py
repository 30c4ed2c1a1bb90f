"""Byte streams of character devices: sockets (listening or connecting out), stdio, terminals, files.

    SocketStream   one client at a time; the listener stays bound with a backlog of 1 (facts/qmp-wire.md §12)
    FdStream       stdin/stdout, a pseudo terminal, a file

Both deliver what arrives to a `Front` (a monitor, a serial port) and buffer what a slow client has not read yet.
"""

from __future__ import annotations

import os

from qmpemu.edge import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from qmpemu.edge.loop import Handle, Loop

    class Front(Protocol):
        """What stands behind a stream."""

        def connected(self) -> None:
            """A client came."""

        def received(self, data: bytes, fds: list[int]) -> None:
            """Bytes came, and descriptors sent along with them (the receiver owns these)."""

        def drained(self) -> None:
            """The peer has read what was waiting: there is room again."""

        def disconnected(self) -> None:
            """The client left."""


READ_BYTES = 64 * 1024
FDS_PER_READ_MAX = 16
UNSENT_SOFT_MAX = 1 << 20
"""Output a client has not read, in bytes, above which nothing more is read from it."""
UNSENT_HARD_MAX = 32 << 20
"""Output a client has not read, in bytes, above which it is disconnected: events must not grow the process."""


class Stream:
    """The common half: buffered, non-blocking output to one peer."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.front: Front | None = None
        self.address = ""
        """Where the stream leads, as `describe` shows it."""
        self._unsent = bytearray()
        self.unsent_bytes_max = 0
        """The most output that ever waited for a peer."""
        self.throttled = False
        """Whether nothing is read because so much output waits."""
        self._closing = self._held = False

    @property
    def is_connected(self) -> bool:
        """Whether a peer is there."""
        raise AssertionError("each stream says so itself")

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        return len(self._unsent)

    def describe(self) -> str:
        """The stream as query-chardev's `filename` shows it."""
        return self.address

    def start(self) -> None:
        """Begin to serve."""

    def send(self, data: bytes) -> None:
        """Queue `data` for the peer and send what it takes now; without a peer it is dropped."""
        if not data or not self.is_connected:
            return
        self._unsent += data
        self.unsent_bytes_max = max(self.unsent_bytes_max, len(self._unsent))
        self.flush()

    def flush(self) -> None:
        """Send what the peer takes now, and wait for it with the rest."""
        if self._unsent:
            try:
                del self._unsent[: self._write(self._unsent)]
            except BlockingIOError:
                pass
            except OSError:
                self._unsent.clear()
                self._hang_up()
                return
        if self._unsent:
            self.loop.add_writer(self._out_fd(), self.flush)
            if len(self._unsent) > UNSENT_HARD_MAX:
                self._unsent.clear()
                self._hang_up()
                return
        else:
            self.loop.remove_writer(self._out_fd())
            if self._closing:
                self._hang_up()
                return
        self._throttle(len(self._unsent) > UNSENT_SOFT_MAX)

    def hold(self, on: bool) -> None:
        """Read nothing, or read again, whatever room there is for output."""
        if on != self._held:
            self._held = on
            if not self.throttled and self.is_connected:
                (self._stop_reading if on else self._start_reading)()

    def finish(self) -> None:
        """Deliver what is queued, then part from the peer."""
        self._closing = True
        if self.is_connected:
            self.flush()

    def cook(self) -> None:
        """Let a terminal echo and edit lines: a program reads them, and not a human's monitor."""

    def close(self) -> None:
        """Release everything; nothing is sent any more."""

    def remove(self) -> None:
        """Remove what would outlive the process."""

    def _throttle(self, on: bool) -> None:
        if on != self.throttled:
            self.throttled = on
            if not self._held:
                (self._stop_reading if on else self._start_reading)()
            if not on and self.front is not None:
                self.front.drained()

    def _deliver(self, data: bytes, fds: list[int]) -> None:
        if self.front is not None:
            self.front.received(data, fds)

    def _out_fd(self) -> int:
        raise AssertionError("each stream has its own")

    def _write(self, data: bytearray) -> int:
        raise AssertionError("each stream has its own")

    def _start_reading(self) -> None: ...

    def _stop_reading(self) -> None: ...

    def _hang_up(self) -> None: ...


class SocketStream(Stream):
    """A stream over a socket: `listener` accepts one client after another, or `peer` is connected already."""

    def __init__(
        self, loop: Loop, *, listener: sockets.socket | None, peer: sockets.socket | None = None
    ) -> None:
        super().__init__(loop)
        self._listener = listener
        self._peer = peer
        self._passes_fds = any(
            each is not None and each.family == sockets.AF_UNIX for each in (listener, peer)
        )
        self.away = ""
        """What is shown of a client that has lost its server: where that was."""
        self.hello = b""
        """What each client is sent first."""
        self.decoder: Callable[[], Callable[[bytes], bytes]] | None = None
        """Makes, for each client, what takes the protocol around its bytes away."""
        self._decode: Callable[[bytes], bytes] | None = None
        self.unlink: str | None = None
        """The socket file to remove at close."""
        self.dial: Callable[[], sockets.socket | None] | None = None
        """Connects out again where nobody is at the other end; None if that did not work."""
        self.wait_s = 0
        self._redial: Handle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a client is there."""
        return self._peer is not None

    def describe(self) -> str:
        """`unix:PATH,server=on`, with `disconnected:` before it or a TCP client's address behind it."""
        text = self.address + (",server=on" if self._listener is not None else "")
        if self._peer is None:
            return f"disconnected:{self.away or text}"
        if self._passes_fds:  # of one that has connected out QEMU shows its own name, which is empty
            return text if self._listener is not None else "unix:"
        host, port = self._peer.getpeername()[:2]
        return f"{text} <-> {host}:{port}"

    def start(self) -> None:
        """Begin to accept, or to serve the peer that is connected already."""
        if self._peer is not None:
            self._begin(self._peer)
        elif self._listener is not None:
            self._listener.setblocking(False)
            self.loop.add_reader(self._listener.fileno(), self._accept)
        elif self.dial is not None:
            peer = self.dial()
            if peer is None:
                self._redial = self.loop.call_later(self.wait_s, self.start)
            else:
                self._begin(peer)

    @property
    def peer(self) -> sockets.socket | None:
        """The connection itself."""
        return self._peer

    def leave(self) -> sockets.socket | None:
        """Hand the peer over."""
        peer, self._peer = self._peer, None
        return peer

    def yank(self) -> None:
        """Tear the client's connection down, whatever is still to be sent; it is noticed at the next read."""
        if self._peer is not None:
            self._peer.shutdown(sockets.SHUT_RDWR)

    def wait_for_client(self) -> None:
        """Block until the first client is there (`wait=on`)."""
        if self._listener is not None and self._peer is None:
            self._listener.setblocking(True)
            self._peer = sockets.accept(self._listener)

    def close(self) -> None:
        """Release the sockets and remove the socket file."""
        for each in (self._peer, self._listener):
            if each is not None:
                self.loop.remove_reader(each.fileno())
                self.loop.remove_writer(each.fileno())
                each.close()
        self._peer = self._listener = self.dial = None
        if self._redial is not None:
            self._redial.cancel()
        self.remove()

    def remove(self) -> None:
        """Remove the socket file."""
        if self.unlink is not None:
            try:
                os.unlink(self.unlink)
            except OSError:
                pass
            self.unlink = None

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            peer = sockets.accept(self._listener)
        except OSError:
            return  # the client gave up between connecting and being accepted
        self.loop.remove_reader(self._listener.fileno())
        self._begin(peer)

    def _begin(self, peer: sockets.socket) -> None:
        peer.setblocking(False)
        self._passes_fds = peer.family == sockets.AF_UNIX
        if not self._passes_fds:
            peer.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        self._peer, self._closing, self.throttled, self._held = peer, False, False, False
        self.loop.add_reader(peer.fileno(), self._readable)
        self._decode = self.decoder() if self.decoder is not None else None
        self.send(self.hello)
        self._came()

    def _came(self) -> None:
        """A peer is there."""
        if self.front is not None:
            self.front.connected()

    def _readable(self) -> None:
        assert self._peer is not None
        fds: list[int] = []
        try:
            if self._passes_fds:
                data, fds = sockets.receive(self._peer, READ_BYTES, FDS_PER_READ_MAX)
            else:
                data = self._peer.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._deliver(data if self._decode is None else self._decode(data), fds)
        else:  # end of file, maybe a half-close: what is queued is still delivered
            self.loop.remove_reader(self._peer.fileno())
            self.finish()

    def _hang_up(self) -> None:
        peer, self._peer = self._peer, None
        if peer is None:
            return
        self.loop.remove_reader(peer.fileno())
        self.loop.remove_writer(peer.fileno())
        peer.close()
        self._unsent.clear()
        if self.front is not None:
            self.front.disconnected()
        if self._listener is not None:
            self.loop.add_reader(self._listener.fileno(), self._accept)
        elif self.dial is not None:
            self._redial = self.loop.call_later(self.wait_s, self.start)

    def _out_fd(self) -> int:
        assert self._peer is not None
        return self._peer.fileno()

    def _write(self, data: bytearray) -> int:
        assert self._peer is not None
        return self._peer.send(data)

    def _start_reading(self) -> None:
        self.loop.add_reader(self._out_fd(), self._readable)

    def _stop_reading(self) -> None:
        self.loop.remove_reader(self._out_fd())


class FdStream(Stream):
    """A stream over descriptors that are always connected; end of file on the input ends nothing."""

    def __init__(self, loop: Loop, in_fd: int | None, out_fd: int) -> None:
        super().__init__(loop)
        self._in_fd = in_fd
        self._fd = out_fd
        self._from_file = False
        """Whether the input is a file, and more of it is wanted."""

    @property
    def is_connected(self) -> bool:
        """Always: there is no peer to wait for."""
        return True

    def start(self) -> None:
        """Begin to serve."""
        os.set_blocking(self._fd, False)
        if self._in_fd is not None:
            os.set_blocking(self._in_fd, False)
            self._start_reading()
        if self.front is not None:
            self.front.connected()

    def _readable(self) -> None:
        assert self._in_fd is not None
        try:
            data = os.read(self._in_fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a terminal whose other end nobody holds open
        if data:
            self._deliver(data, [])
        else:
            self._stop_reading()

    def _out_fd(self) -> int:
        return self._fd

    def _write(self, data: bytearray) -> int:
        return os.write(self._fd, data)

    def _start_reading(self) -> None:
        if self._in_fd is not None:
            try:
                self.loop.add_reader(self._in_fd, self._readable)
            except PermissionError:  # a regular file as standard input cannot be polled: it is always ready
                self._from_file = True
                self.loop.call_soon(self._read_file)

    def _read_file(self) -> None:
        """The next part, one in a turn, for as long as there is something and it is wanted."""
        assert self._in_fd is not None
        if self._from_file and (data := os.read(self._in_fd, READ_BYTES)):
            self.loop.call_soon(self._read_file)
            self._deliver(data, [])

    def _stop_reading(self) -> None:
        self._from_file = False
        if self._in_fd is not None:
            self.loop.remove_reader(self._in_fd)
