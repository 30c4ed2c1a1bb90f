"""What the start path needs of sockets and signals, from the C modules below `socket` and `signal`.

Those two import `enum` and `selectors`: 7 ms of a start that should be answered as fast as QEMU's. Code that runs
later, or in another process, imports `socket` and `signal` as everybody does; its sockets are of this class, too.
"""

from __future__ import annotations

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
    AF_UNIX,
    AI_PASSIVE,
    CMSG_LEN,
    IPPROTO_TCP,
    SCM_RIGHTS,
    SHUT_RDWR,
    SO_REUSEADDR,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    gaierror,
    getaddrinfo,
    socket,
    socketpair,
)

__all__ = [
    "AF_UNIX",
    "AI_PASSIVE",
    "IPPROTO_TCP",
    "SHUT_RDWR",
    "SIGHUP",
    "SIGINT",
    "SIGKILL",
    "SIGTERM",
    "SIG_BLOCK",
    "SIG_SETMASK",
    "SOCK_STREAM",
    "SOL_SOCKET",
    "SO_REUSEADDR",
    "TCP_NODELAY",
    "accept",
    "gaierror",
    "getaddrinfo",
    "pthread_sigmask",
    "receive",
    "sigwaitinfo",
    "socket",
    "socketpair",
]

FD_BYTES = 4


def accept(listener: socket) -> socket:
    """The next client of a listening socket. Raises OSError."""
    fd, _ = listener._accept()  # type: ignore[attr-defined]  # the stub lacks it
    return socket(fileno=fd)


def receive(peer: socket, size: int, fds_max: int) -> tuple[bytes, list[int]]:
    """Up to `size` bytes, and the descriptors that came with them (SCM_RIGHTS). Raises OSError."""
    data, messages, _, _ = peer.recvmsg(size, CMSG_LEN(fds_max * FD_BYTES))
    fds: list[int] = []
    for level, kind, about in messages:
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
            whole = about[: len(about) - len(about) % FD_BYTES]
            fds.extend(memoryview(whole).cast("i"))
    return data, fds
