"""What the start path needs of sockets and signals, from the C modules below `socket` and `signal`.

Those two import `enum` and `selectors`: 7 ms of a start that should be answered as fast as QEMU's. Code that runs
later, or in another process, imports `socket` and `signal` as everybody does; its sockets are of this class, too.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]
    SIG_BLOCK,
    SIG_SETMASK,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGTERM,
    pthread_sigmask,
    sigwaitinfo,
)
from _socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    AI_PASSIVE,
    CMSG_LEN,
    IP_ADD_MEMBERSHIP,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SCM_RIGHTS,
    SHUT_RDWR,
    SO_ERROR,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    gaierror,
    getaddrinfo,
    inet_aton,
    inet_ntoa,
    socket,
    socketpair,
)
from _socket import gethostbyname as _gethostbyname
from sys import byteorder

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AF_INET",
    "AF_INET6",
    "AF_UNIX",
    "IPPROTO_IP",
    "IPPROTO_IPV6",
    "IPPROTO_TCP",
    "IPV6_V6ONLY",
    "IP_ADD_MEMBERSHIP",
    "SHUT_RDWR",
    "SIGHUP",
    "SIGINT",
    "SIGKILL",
    "SIGTERM",
    "SIG_BLOCK",
    "SIG_SETMASK",
    "SOCK_DGRAM",
    "SOCK_STREAM",
    "SOL_SOCKET",
    "SO_ERROR",
    "SO_REUSEADDR",
    "TCP_NODELAY",
    "UNIX_PATH_MAX",
    "accept",
    "bound",
    "check_path",
    "gaierror",
    "gethostbyname",
    "inet_aton",
    "inet_ntoa",
    "look_up",
    "pthread_sigmask",
    "receive",
    "send",
    "sigwaitinfo",
    "socket",
    "socketpair",
]

FD_BYTES = 4
UNIX_PATH_MAX = 107
"""What sockaddr_un holds before a NUL; QEMU takes a byte more, which Python does not."""


def look_up(host: str, port: str | int, *, passive: bool) -> list[tuple[int, int, Any]]:
    """Family, kind and address of each stream socket for a host; passive: to listen, "" on all. Raises gaierror."""
    how = AI_PASSIVE if passive else 0
    where = None if passive and not host else _raw(host)
    found = getaddrinfo(where, port, type=SOCK_STREAM, flags=how)
    return [(family, kind, address) for family, kind, _, _, address in found]


def gethostbyname(host: str) -> str:
    """The IPv4 address of a host. Raises OSError."""
    return _gethostbyname(_raw(host))  # type: ignore[arg-type]  # the stub knows text only


def _raw(host: str) -> bytes:
    """A host's name as it was given, as QEMU looks it up; text would be encoded by idna, which imports `re`."""
    return os.fsencode(host)


def bound(family: int, kind: int, address: Any, *, v6only: bool | None = None) -> socket:
    """A socket at an address; a UNIX socket's file is taken over, in use or not, as QEMU does. Raises OSError.

    v6only: whether an IPv6 socket is none for IPv4; None leaves that to the host.
    """
    made = socket(family, kind)
    try:
        if family != AF_UNIX:
            made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        elif os.path.exists(address):
            os.unlink(address)
        if family == AF_INET6 and v6only is not None:
            made.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, v6only)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def check_path(path: str) -> str:
    """A UNIX socket's path, if it is one that the kernel takes. Raises Refused."""
    if len(os.fsencode(path)) > UNIX_PATH_MAX:
        wrong = f"UNIX socket path '{path}' is too long"
        raise Refused(wrong, f"Path must be less than {UNIX_PATH_MAX + 1} bytes")
    return path


def accept(listener: socket) -> socket:
    """The next client of a listening socket. Raises OSError."""
    fd, _ = listener._accept()  # type: ignore[attr-defined]  # the stub lacks it
    return socket(fileno=fd)


def send(peer: socket, data: bytes, fds: list[int]) -> None:
    """Send all of it, the descriptors along with its beginning. Raises OSError."""
    about = [(SOL_SOCKET, SCM_RIGHTS, memoryview(b"".join(fd.to_bytes(FD_BYTES, byteorder) for fd in fds)))]
    sent = peer.sendmsg([data], about if fds else [])
    if sent < len(data):
        peer.sendall(data[sent:])


def receive(peer: socket, size: int, fds_max: int) -> tuple[bytes, list[int]]:
    """Up to `size` bytes, and the descriptors that came with them (SCM_RIGHTS). Raises OSError."""
    data, messages, _, _ = peer.recvmsg(size, CMSG_LEN(fds_max * FD_BYTES))
    fds: list[int] = []
    for level, kind, about in messages:
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
            whole = about[: len(about) - len(about) % FD_BYTES]
            fds.extend(memoryview(whole).cast("i"))
    return data, fds
