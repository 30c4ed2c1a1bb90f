"""Character devices: what the command line asked for, and what query-chardev tells of them.

The edge opens the real sockets, terminals and files; this is the machine's view of them.
"""

from __future__ import annotations

from qmpemu.machine import ringbuf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Chardev:
    """One -chardev (or what -qmp and -serial imply). `options` holds the back end's options by QEMU's names.

    Raises Refused for options that no such device can have.
    """

    __slots__ = (
        "backend",
        "describe",
        "frontend_open",
        "label",
        "on_connected",
        "options",
        "receive",
        "ring",
        "taken",
        "write",
        "yank",
    )

    def __init__(self, label: str, backend: str, options: dict[str, str]) -> None:
        self.label = label
        self.backend: str
        self.options: dict[str, str]
        self.frontend_open = False
        """Whether a front end (a monitor, a guest program behind a virtio-serial port) holds this device."""
        self.taken = False
        """Whether a device or a monitor was made for it: no other can be."""
        self.describe: Callable[[], str]
        """The device as query-chardev's `filename` shows it; the edge sets it once the device is open."""
        self.write: Callable[[bytes], None]
        """Send bytes out of the back end; wired by the edge."""
        self.receive: Callable[[bytes], None] = _nowhere
        """Bytes that came in at the back end; wired by the front end."""
        self.yank: Callable[[], object]
        """Tear down the connection of the back end; wired by the edge."""
        self.on_connected: Callable[[bool], None] = _nowhere
        """A client came to or left the back end; wired by the front end."""
        self.ring: ringbuf.RingBuffer | None
        """What is held for ringbuf-read."""
        self.lead_to(backend, options)

    def lead_to(self, backend: str, options: dict[str, str]) -> None:
        """Have this back end, which is still to be opened. Raises Refused, nothing changed."""
        ring = ringbuf.RingBuffer(int(options.get("size", 0))) if backend in ringbuf.KINDS else None
        self.backend, self.options, self.ring = backend, options, ring
        self.describe = lambda: backend
        self.write = _nowhere if ring is None else ring.put
        self.yank = lambda: None

    def share(self, base: Chardev) -> None:
        """A `mux`: what several front ends have of another character device."""
        base.taken = True
        self.write = lambda data: base.write(data)
        base.receive = lambda data: self.receive(data)
        base.on_connected = lambda there: self.on_connected(there)

    def release(self) -> None:
        """The device is gone: nobody reads or writes any more, and another may take its place."""
        self.taken = self.frontend_open = False
        self.receive = self.on_connected = _nowhere

    def on(self, option: str, default: bool) -> bool:
        """A boolean option (QEMU spells them on/off, yes/no, true/false, y/n)."""
        value = self.options.get(option)
        return default if value is None else value in ("on", "yes", "true", "y")


def _nowhere(_: object) -> None:
    """Nobody listens."""
