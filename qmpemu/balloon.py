"""The memory balloon: what the host asks for, what the guest has let go, and what it tells of its memory.

balloon ──> ask(bytes) ──> on_ask ──> guest inflates or deflates ──> give(bytes) ──> BALLOON_CHANGE
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Balloon:
    """One balloon. target_bytes, actual_bytes: memory that is left to the guest. stats: name -> bytes or count."""

    __slots__ = ("actual_bytes", "memory_bytes", "on_ask", "on_give", "present", "stats", "target_bytes")

    def __init__(self, memory_bytes: int) -> None:
        self.present = False
        """Whether the device is there."""
        self.memory_bytes = memory_bytes
        """All that the machine has, plugged memory included."""
        self.target_bytes = memory_bytes
        self.actual_bytes = memory_bytes
        self.on_ask: Callable[[], object] = _nobody
        """Called when the host changes its wish; the guest's driver sets it."""
        self.on_give: Callable[[], object] = _nobody
        """Called when the guest changed what it has; the device sets it."""
        self.stats: Callable[[], dict[str, int]] | None = None
        """The driver's report of the guest's memory; None while no driver runs."""

    def ask(self, target_bytes: int) -> None:
        """The host wants the guest to live with this much."""
        self.target_bytes = target_bytes
        self.on_ask()

    def give(self, actual_bytes: int) -> None:
        """The guest's driver has inflated or deflated to this."""
        if actual_bytes != self.actual_bytes:
            self.actual_bytes = actual_bytes
            self.on_give()

    def resize(self, memory_bytes: int) -> None:
        """Memory was plugged in or out; what the balloon holds, and is to hold, stays."""
        more = memory_bytes - self.memory_bytes
        self.memory_bytes = memory_bytes
        self.target_bytes += more
        self.actual_bytes += more

    def reset(self) -> None:
        """Machine reset: the balloon is empty and its driver gone; the host's wish stays."""
        self.actual_bytes = self.memory_bytes
        self.on_ask = _nobody
        self.stats = None


def _nobody() -> None:
    """No driver, or no device."""
