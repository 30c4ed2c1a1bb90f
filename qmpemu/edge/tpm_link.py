"""The way to the emulator of a TPM: commands over its character device's socket, and a channel for data beside it.

A command waits for its answer, as in QEMU, whose main loop stands still meanwhile.
"""

from __future__ import annotations

import os
from errno import EIO, ENOTTY, EOPNOTSUPP
from select import select

from qmpemu.edge import sockets
from qmpemu.edge.streams import SocketStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.streams import Stream

PROBE_S = 1.0
"""How long a TPM has for its answer while it is looked for."""
HEADER = 10
PROBES = (
    ("2", bytes.fromhex("80010000000a00000181"), 0x8001),
    ("1.2", bytes.fromhex("00c10000000a000000f1"), 0x00C4),
)
"""Version, a command of ten bytes that such a TPM answers whatever its state is and how it begins."""
READ_BYTES = 4096


class SocketLink:
    """To what is connected to a stream."""

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream
        self._data: sockets.socket | None = None
        self._has_left = False

    def ask(self, message: bytes, size: int, *, with_data: bool = False) -> bytes:
        """Send a command and wait for `size` bytes. Raises OSError."""
        if not isinstance(self._stream, SocketStream):
            raise OSError(ENOTTY, os.strerror(ENOTTY))
        peer = self._stream.peer
        if peer is None or self._has_left:
            raise OSError(EIO, os.strerror(EIO))
        fds = []
        if with_data:
            self._data, other = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
            fds.append(other)
        blocks = peer.getblocking()
        peer.setblocking(True)
        try:
            return _exchange(peer, message, size, fds)
        except OSError:
            self._has_left = True  # which the stream sees once its loop goes on
            raise
        finally:
            peer.setblocking(blocks)
            for each in fds:
                each.close()

    def version(self) -> str:
        """The first that is answered as it should be. Raises OSError."""
        assert self._data is not None
        for version, command, tag in PROBES:
            self._data.sendall(command)
            readable, _, _ = select([self._data], [], [], PROBE_S)
            said = self._data.recv(READ_BYTES) if readable else b""
            if len(said) >= HEADER and int.from_bytes(said[:2], "big") == tag:
                return version
        raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))


def _exchange(peer: sockets.socket, message: bytes, size: int, fds: list[sockets.socket]) -> bytes:
    sockets.send(peer, message, [each.fileno() for each in fds])
    said = b""
    while len(said) < size:
        piece = peer.recv(size - len(said))
        if not piece:
            raise OSError
        said += piece
    return said
