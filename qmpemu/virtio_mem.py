"""Memory behind virtio-mem devices: what the host asks for, and what the guest's driver has plugged of it.

memory ──> ask(path, bytes) ──> on_ask ──> guest plugs or unplugs blocks ──> give(path, bytes) ──> on_give
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class VirtioMem:
    """All such devices of one machine, by path. requested, plugged: bytes."""

    __slots__ = ("on_ask", "on_give", "plugged", "requested")

    def __init__(self) -> None:
        self.requested: dict[str, int] = {}
        self.plugged: dict[str, int] = {}
        self.on_ask: Callable[[], object] = _nobody
        """Called when the host changes its wish; the guest's driver sets it."""
        self.on_give: Callable[[str], object] = _nobody
        """Called with a path when what is plugged there changed; the device sets it."""

    def ask(self, path: str, size_bytes: int) -> None:
        """The host wants so much of a device to be in use."""
        self.requested[path] = size_bytes
        self.plugged.setdefault(path, 0)
        self.on_ask()

    def give(self, path: str, size_bytes: int) -> None:
        """So much of it is in use now."""
        if size_bytes != self.plugged.get(path):
            self.plugged[path] = size_bytes
            self.on_give(path)

    def reset(self) -> None:
        """Machine reset: nothing is plugged and the driver is gone; the host's wish stays."""
        self.on_ask = _nobody
        for path in self.plugged:
            self.give(path, 0)


def _nobody(path: str = "") -> None:
    """No driver, or no device."""
