"""The watchdog device as its hardware and its driver see it: a countdown that the driver sets again and again.

driver ──> set(timeout_ns) ──feeds: set(timeout_ns)──> set(None)     it is stopped
                    └── nobody sets it in time ──> expires: what `-action watchdog=` says
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DRIVERS = ("i6300esb", "ib700")
"""The device types, and the kind under which a guest is told of one that was plugged in."""


class Watchdog:
    """The watchdog of one machine: QEMU takes more than one device, and lets each count; guests drive the first."""

    __slots__ = ("on_set", "present")

    def __init__(self) -> None:
        self.present = False
        """Whether a device is there."""
        self.on_set: Callable[[int | None], object] = _nobody
        """Called with the new timeout in ns, or None to stop; the hardware sets it."""

    def set(self, timeout_ns: int | None) -> None:
        """Begin to count down anew, or stop."""
        if self.present:
            self.on_set(timeout_ns)


def _nobody(timeout_ns: int | None) -> None:
    """No hardware."""
