"""A virtio-serial port: the wire between a character device of the host and a program in the guest.

    host client ⇄ chardev ⇄ [host_write / on_host_data]  Port  [guest_write / on_guest_data] ⇄ guest agent

Bytes from the guest are dropped while no client is there. Bytes from a client wait while the guest has the port closed
and go with the client: QEMU does not read its socket then (measured: 180,224 bytes fit between).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AGENT_PORT = "org.qemu.guest_agent.0"
"""The port name of the QEMU guest agent."""


WAITING_MAX_BYTES = 180_224
"""Bytes that a client can send to a closed port. More are lost here; the real socket would not take them."""


class Port:
    """One named port. guest_open: a program in the guest holds it (QMP: VSERPORT_CHANGE, `frontend-open`)."""

    __slots__ = (
        "_waiting",
        "guest_open",
        "name",
        "on_guest_data",
        "on_guest_open",
        "on_host_data",
        "on_host_open",
        "on_traceless",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.guest_open = False
        self._waiting = bytearray()
        self.on_guest_data: Callable[[bytes], None] = _ignore
        self.on_guest_open: Callable[[bool], None] = _ignore
        self.on_host_data: Callable[[bytes], None] = _ignore
        self.on_host_open: Callable[[bool], None] = _ignore
        self.on_traceless: Callable[[int], None] = _ignore
        """The guest's program is as it was before the latest pieces from the host, so many of them."""

    def host_write(self, data: bytes) -> None:
        """The host's client sent `data`."""
        if self.guest_open:
            self.on_host_data(data)
        elif len(self._waiting) + len(data) <= WAITING_MAX_BYTES:
            self._waiting += data

    def host_open(self, opened: bool) -> None:
        """A client connected to or left the host side."""
        self._waiting.clear()
        self.on_host_open(opened)

    def guest_write(self, data: bytes) -> None:
        """The guest's program sent `data`."""
        if self.guest_open:
            self.on_guest_data(data)

    def set_guest_open(self, opened: bool) -> None:
        """A program in the guest opened or closed the port."""
        if opened != self.guest_open:
            self.guest_open = opened
            self.on_guest_open(opened)
        if opened and self._waiting:
            waiting, self._waiting = bytes(self._waiting), bytearray()
            self.on_host_data(waiting)

    @property
    def heeds_host(self) -> bool:
        """Whether a program in the guest looks at clients that come and go."""
        return self.on_host_open is not _ignore

    @property
    def waiting(self) -> bytes:
        """What a client has sent to the closed port."""
        return bytes(self._waiting)

    def forget(self) -> None:
        """The guest that may have held it never was: closed, and nobody is told."""
        self.guest_open = False
        self._waiting.clear()
        self.on_host_data = self.on_host_open = _ignore


class Ports(dict[str, Port]):
    """The ports of a machine by name; they come and go with their devices.

    on_change(name): told when a port is there, or no longer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_change: Callable[[str], None] = _ignore

    def __setitem__(self, name: str, port: Port) -> None:
        super().__setitem__(name, port)
        self.on_change(name)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.on_change(name)


def _ignore(*_: object) -> None:
    """Nobody is connected to this end."""
