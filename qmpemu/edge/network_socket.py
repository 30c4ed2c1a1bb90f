"""Sockets of -netdev socket: they are opened as QEMU opens them, and nothing is read from them."""

from __future__ import annotations

import re
import socket

from qmpemu.core.table import Refused

ANY = "0.0.0.0"
PORTS = 1 << 16
LEADING_DIGITS = re.compile(r"\s*[+-]?\d+")
MULTICAST = range(224, 240)


def opened(way: str, address: str, own: str) -> socket.socket:
    """A socket that listens, connects, has joined a group or is bound. Raises Refused."""
    if way == "mcast":
        return _group(address, own)
    if way == "udp":
        place = _resolved(own)
        _resolved(address)
        return _bound(socket.SOCK_DGRAM, place)
    place = _resolved(address)
    if way == "listen":
        listening = _bound(socket.SOCK_STREAM, place)
        listening.listen(0)
        return listening
    connecting = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connecting.setblocking(False)
    connecting.connect_ex(place)  # whoever is not there yet may come
    return connecting


def _resolved(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; the host is looked up before the port is looked at."""
    host, colon, port = address.partition(":")
    if not colon:
        raise Refused(f"host address '{address}' doesn't contain ':' separating host from port")
    if not host:
        host = ANY
    elif host[0].isdigit():
        host = _numeric(host, f"host address '{host}' is not a valid IPv4 address")
    else:
        try:
            host = socket.gethostbyname(host)
        except OSError:
            raise Refused(f"can't resolve host address '{host}'") from None
    digits = LEADING_DIGITS.match(port)
    if digits is None:
        raise Refused(f"port number '{port}' is invalid")
    return host, int(digits[0]) % PORTS


def _numeric(host: str, wrong: str) -> str:
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        raise Refused(wrong) from None


def _bound(kind: int, place: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(place)
    except OSError as error:
        made.close()
        raise Refused(f"can't bind ip={place[0]} to socket: {error.strerror}") from None
    return made


def _group(address: str, interface: str) -> socket.socket:
    group, port = _resolved(address)
    wrong = f"localaddr '{interface}' is not a valid IPv4 address"
    own = _numeric(interface, wrong) if interface else ANY
    packed = socket.inet_aton(group)
    if packed[0] not in MULTICAST:
        raise Refused(f"specified mcastaddr {group} (0x{packed.hex()}) does not contain a multicast address")
    made = _bound(socket.SOCK_DGRAM, (group, port))
    try:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + socket.inet_aton(own))
    except OSError as error:
        made.close()
        raise Refused(f"can't add socket to multicast group {group}: {error.strerror}") from None
    return made
