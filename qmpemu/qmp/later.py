"""A reply that is not there yet: a command that blocks, as reading a FIFO does, returns one of these.

The session answers when `finish` is called; until then, in-band commands behind it wait (facts/qmp-wire.md §11).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.qmp.errors import QmpError


class Later:
    """The place of a result. It is finished once."""

    __slots__ = ("_tell", "afterwards", "outcome")

    def __init__(self) -> None:
        self.afterwards: Callable[[], object] | None = None
        """What is done between the reply and the next command."""
        self.outcome: object = None
        self._tell: Callable[[object], object] | None = None

    def finish(self, outcome: object | QmpError) -> None:
        """The command is over: `outcome` is its return value, or the error it failed with."""
        self.outcome = outcome
        if self._tell is not None:
            self._tell(outcome)

    def when_finished(self, tell: Callable[[object], object]) -> None:
        """Call `tell(outcome)` when it is over."""
        self._tell = tell
