"""Where a migration goes or comes from: `tcp:HOST:PORT`, `unix:PATH`, `fd:NAME` or `exec:COMMAND`.

`vsock:` and `rdma:` are known and lead nowhere: as on a host without such a device.
"""

from __future__ import annotations

from qmpemu.qmp.errors import QmpError


class Address:
    """kind: tcp, unix, vsock, rdma, fd or exec; the rest belongs to one of them."""

    __slots__ = ("host", "kind", "name", "port", "text")

    def __init__(self, kind: str, text: str, *, name: str = "", host: str = "", port: str = "") -> None:
        self.kind = kind
        self.text = text
        self.name = name
        """The path, the descriptor's name or number, or the command."""
        self.host = host
        self.port = port

    @property
    def several(self) -> bool:
        """Whether more than one channel can lead there."""
        return self.kind in ("tcp", "unix")


def parse(uri: str) -> Address | None:
    """The address; None for a protocol this QEMU does not have. Raises QmpError (texts measured)."""
    kind, colon, rest = uri.partition(":")
    if kind in ("fd", "exec") and colon:
        return Address(kind, uri, name=rest)
    if kind == "unix" and colon:
        if not rest:
            raise QmpError("invalid Unix socket address")
        return Address(kind, uri, name=rest)
    if kind == "rdma" and colon:
        return Address(kind, uri)
    if kind == "vsock" and colon:
        host, colon, port = rest.partition(":")
        if not colon:
            raise QmpError(f"error parsing address '{rest}'")
        return Address(kind, uri, host=host, port=port)
    if kind == "tcp" and colon:
        spot = rest.partition(",")[0]
        host, colon, port = spot.rpartition(":")
        if not colon or not port.isdigit():
            raise QmpError(f"error parsing address '{rest}'")
        return Address(kind, uri, host=host.strip("[]"), port=port)
    return None
