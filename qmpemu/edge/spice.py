"""Where a SPICE server would be: its sockets are there, and a client is told by the protocol that there was an error.

client ──SpiceLinkMess──>   server ──SpiceLinkReply(error)──> close          (SPICE protocol, link stage)
"""

from __future__ import annotations

import os
import struct

from qmpemu.edge import sockets
from qmpemu.edge.keyval import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.edge.loop import Loop
    from qmpemu.machine.spice import Spice

MAGIC, MAJOR, MINOR = b"REDQ", 2, 2
LINK_ERROR = 1
KEY_BYTES = 162
REPLY = struct.pack(f"<I{KEY_BYTES}sIII", LINK_ERROR, b"", 0, 0, KEY_BYTES + 16)
REFUSAL = struct.pack("<4sIII", MAGIC, MAJOR, MINOR, len(REPLY)) + REPLY
BACKLOG = 1


class SpiceFront:
    """The sockets of one server."""

    def __init__(self, loop: Loop, spice: Spice) -> None:
        self._loop = loop
        self._spice = spice
        self._listeners: list[sockets.socket] = []
        self._watched = False

    def open(self) -> None:
        """Bind. Raises OptionError with the real one's text."""
        spice = self._spice
        if spice.options.get("unix") in ("on", "yes", "true", "y"):
            self._listeners.append(_unix(spice.host))
        elif spice.port is not None:
            self._listeners.append(_inet("" if spice.host == "*" else spice.host, spice.port))

    def start(self) -> None:
        """Begin to refuse clients."""
        self._watched = True
        for each in self._listeners:
            self._loop.add_reader(each.fileno(), lambda each=each: _refuse(each))

    def close(self) -> None:
        """Release the sockets, and a socket's file."""
        for each in self._listeners:
            if self._watched:
                self._loop.remove_reader(each.fileno())
            if each.family == sockets.AF_UNIX and os.path.exists(self._spice.host):
                os.unlink(self._spice.host)
            each.close()
        self._listeners = []


def _refuse(listener: sockets.socket) -> None:
    try:
        client = sockets.accept(listener)
        client.setblocking(False)
        client.send(REFUSAL)
        client.close()
    except OSError:
        return  # it gave up


def _inet(host: str, port: int) -> sockets.socket:
    where = f"{host}:{port}"
    try:
        family, kind, address = sockets.look_up(host, port, passive=True)[0]
    except sockets.gaierror as error:
        raise _failed(f"2551:reds_init_socket: getaddrinfo({host},{port}): {error.strerror}") from None
    return _listening(family, kind, address, where)


def _unix(path: str) -> sockets.socket:
    return _listening(sockets.AF_UNIX, sockets.SOCK_STREAM, path, path)


def _listening(family: int, kind: int, address: Any, where: str) -> sockets.socket:
    try:
        sock = sockets.bound(family, kind, address)
        sock.listen(BACKLOG)
    except OSError:
        raise _failed(f"2585:reds_init_socket: binding socket to {where} failed") from None
    sock.setblocking(False)
    return sock


def _failed(why: str) -> OptionError:
    server = "../server/reds.cpp"
    return OptionError(
        f"warning: Spice: {server}:{why}\n"
        f"{{prefix}}warning: Spice: {server}:3442:do_spice_init: Failed to open SPICE sockets\n"
        "{prefix}failed to initialize spice server"
    )
