"""Where a VNC server listens: -vnc's address, display-update's addresses, and the sockets of both.

Texts as measured on QEMU 7.2; the caller puts the option in front.
"""

from __future__ import annotations

import errno
import os

from qmpemu.core.table import Refused
from qmpemu.edge import sockets
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.display import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PORT_BASE, WEBSOCKET_BASE = 5900, 5700
BACKLOG = 1
FAMILIES = {sockets.AF_INET: "ipv4", sockets.AF_INET6: "ipv6"}


def open_option(options: dict[str, str]) -> list[sockets.socket]:
    """The sockets of a -vnc option; none for `none`. Raises OptionError."""
    text = options.get("vnc", "")
    if text in ("", "none"):
        return []
    if text.startswith("unix:"):
        return [_unix(text.removeprefix("unix:"))]
    host, colon, number = text.rpartition(":")
    if not colon:
        raise OptionError("no vnc port specified")
    first = _display_port(number)
    last = _display_port(options["to"]) if "to" in options else first
    if last < first:
        raise OptionError("Failed to create a socket")
    return _inet(_bare(host), str(first), last)


def open_websockets(options: dict[str, str]) -> list[sockets.socket]:
    """The sockets for browsers: `on` is 200 below the display's port, else a port, or HOST:PORT. Raises OptionError."""
    text, given = options.get("vnc", ""), options["websocket"]
    if text in ("", "none"):
        return []
    host = "" if text.startswith("unix:") else text.rpartition(":")[0]
    if given in ("", "on"):
        number = "0" if text.startswith("unix:") else text.rpartition(":")[2]
        first = _display_port(number) - PORT_BASE + WEBSOCKET_BASE
        return _inet(_bare(host), str(first), None)
    if given.startswith("unix:"):
        raise OptionError("UNIX sockets not supported with websock")
    own, _, port = given.rpartition(":")
    return _inet(_bare(own or host), port, None)


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")


def open_addresses(addresses: list[dict[str, Any]]) -> list[sockets.socket]:
    """The sockets of SocketAddress members. Raises OptionError, and nothing is left open."""
    opened: list[sockets.socket] = []
    try:
        for address in addresses:
            if address["type"] == "unix":
                opened.append(_unix(address["path"]))
            elif address["type"] == "inet":
                opened += _inet(address["host"], address["port"], None)
            else:
                raise OptionError(f"qmpemu does not emulate VNC on an address of type '{address['type']}'")
    except OptionError:
        for each in opened:
            each.close()
        raise
    return opened


def describe(sock: sockets.socket, *, peer: bool = False) -> Address:
    """Where a socket is, or where its other end is."""
    if sock.family == sockets.AF_UNIX:
        name = sock.getpeername() if peer else sock.getsockname()
        return Address("unix", "", os.fsdecode(name) if isinstance(name, bytes) else str(name))
    host, port = (sock.getpeername() if peer else sock.getsockname())[:2]
    return Address(FAMILIES.get(sock.family, "unknown"), str(host), str(port))


def _display_port(number: str) -> int:
    if not (number.isascii() and number.isdigit()):
        raise OptionError(f"can't convert to a number: {number}")
    if int(number) + PORT_BASE > 65535:
        raise OptionError(f"port {number} out of range")
    return int(number) + PORT_BASE


def _unix(path: str) -> sockets.socket:
    try:
        sock = sockets.bound(sockets.AF_UNIX, sockets.SOCK_STREAM, sockets.check_path(path))
    except Refused as refused:
        raise OptionError(f"{refused}\n{refused.hint}") from None
    except OSError as error:
        raise OptionError(f"Failed to bind socket to {path}: {error.strerror}") from None
    sock.listen(BACKLOG)
    return sock


def _inet(host: str, port: str, last: int | None) -> list[sockets.socket]:
    """One socket for each address of the host; the first free port up to `last`. Raises OptionError."""
    try:
        found = sockets.look_up(host, port, passive=True)
    except sockets.gaierror as error:
        raise OptionError(f"address resolution failed for {host}:{port}: {error.strerror}") from None
    start = int(found[0][2][1])
    busy: OSError | None = None
    for number in range(start, (last or start) + 1):
        opened: list[sockets.socket] = []
        try:
            for family, _, address in found:
                opened.append(_bound(family, (address[0], number, *address[2:])))
            return opened
        except OSError as error:
            busy = error
            for each in opened:
                each.close()
            if error.errno != errno.EADDRINUSE:
                break
    assert busy is not None
    if busy.errno == errno.EADDRINUSE:
        raise OptionError(f"Failed to find an available port: {busy.strerror}")
    raise OptionError(f"Failed to bind socket: {busy.strerror}")


def _bound(family: int, address: Any) -> sockets.socket:
    sock = sockets.bound(family, sockets.SOCK_STREAM, address, v6only=True)
    try:
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
