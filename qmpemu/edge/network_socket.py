"""Sockets of -netdev socket: they are opened as QEMU opens them, and nothing is read from them."""

from __future__ import annotations

import os
from fcntl import ioctl

from qmpemu.core.table import Refused
from qmpemu.edge import sockets

ANY = "0.0.0.0"
PORTS = 1 << 16
MULTICAST = range(224, 240)


def opened(way: str, address: str, own: str) -> sockets.socket:
    """A socket that listens, connects, has joined a group or is bound. Raises Refused."""
    if way == "mcast":
        return _group(address, own)
    if way == "udp":
        place = _resolved(own)
        _resolved(address)
        return _bound(sockets.SOCK_DGRAM, place)
    place = _resolved(address)
    if way == "listen":
        listening = _bound(sockets.SOCK_STREAM, place)
        listening.listen(0)
        return listening
    connecting = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
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
            host = sockets.gethostbyname(host)
        except OSError:
            raise Refused(f"can't resolve host address '{host}'") from None
    digits = _leading_number(port)
    if digits is None:
        raise Refused(f"port number '{port}' is invalid")
    return host, digits % PORTS


def _leading_number(text: str) -> int | None:
    """The number that a text begins with, as strtol reads it; what follows does not matter."""
    text = text.lstrip()
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return int(sign + digits) if digits else None


def _numeric(host: str, wrong: str) -> str:
    try:
        return sockets.inet_ntoa(sockets.inet_aton(host))
    except OSError:
        raise Refused(wrong) from None


def _bound(kind: int, place: tuple[str, int]) -> sockets.socket:
    try:
        made = sockets.bound(sockets.AF_INET, kind, place)
    except OSError as error:
        raise Refused(f"can't bind ip={place[0]} to socket: {error.strerror}") from None
    made.setblocking(False)
    return made


def _group(address: str, interface: str) -> sockets.socket:
    group, port = _resolved(address)
    wrong = f"localaddr '{interface}' is not a valid IPv4 address"
    own = _numeric(interface, wrong) if interface else ANY
    packed = sockets.inet_aton(group)
    if packed[0] not in MULTICAST:
        raise Refused(f"specified mcastaddr {group} (0x{packed.hex()}) does not contain a multicast address")
    made = _bound(sockets.SOCK_DGRAM, (group, port))
    try:
        made.setsockopt(sockets.IPPROTO_IP, sockets.IP_ADD_MEMBERSHIP, packed + sockets.inet_aton(own))
    except OSError as error:
        made.close()
        raise Refused(f"can't add socket to multicast group {group}: {error.strerror}") from None
    return made


TUNGETIFF = 0x800454D2
"""linux/if_tun.h"""


def why_no_tap(fd: int) -> tuple[str, bool]:
    """Why a descriptor is none of a tap device's, empty where it is, and whether it is open."""
    is_open = False
    try:
        os.fstat(fd)
        is_open = True
        ioctl(fd, TUNGETIFF, bytes(40))
    except OSError as error:
        return str(error.strerror), is_open
    return "", True


def why_no_listener(place: str) -> str | None:
    """Connect to a UNIX socket's path, or HOST:PORT, and hang up."""
    host, colon, port = place.rpartition(":")
    try:
        if not colon or "/" in place:
            family, address = sockets.AF_UNIX, place
        else:
            family, _, address = sockets.look_up(host, port, passive=False)[0]
        sock = sockets.socket(family)
        try:
            sock.connect(address)
        finally:
            sock.close()
    except OSError as error:
        return error.strerror or str(error)
    return None
