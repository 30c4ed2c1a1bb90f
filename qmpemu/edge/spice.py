"""Where a SPICE server would be: its sockets are there, and a client is told by the protocol that there was an error.

client ──SpiceLinkMess──>   server ──SpiceLinkReply(error)──> close          (SPICE protocol, link stage)
"""

from __future__ import annotations

import os
import socket
import struct

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
        self._listeners: list[socket.socket] = []
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
            if each.family == socket.AF_UNIX and os.path.exists(self._spice.host):
                os.unlink(self._spice.host)
            each.close()
        self._listeners = []


def _refuse(listener: socket.socket) -> None:
    try:
        client, _ = listener.accept()
    except OSError:
        return
    with client:
        client.setblocking(False)
        try:
            client.send(REFUSAL)
        except OSError:
            return


def _inet(host: str, port: int) -> socket.socket:
    where = f"{host}:{port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise _failed(f"2551:reds_init_socket: getaddrinfo({host},{port}): {error.strerror}") from None
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _listening(sock, address, where)


def _unix(path: str) -> socket.socket:
    return _listening(socket.socket(socket.AF_UNIX), path, path)


def _listening(sock: socket.socket, address: Any, where: str) -> socket.socket:
    try:
        if isinstance(address, str) and os.path.exists(address):
            os.unlink(address)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
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
