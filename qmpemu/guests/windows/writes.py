"""Whether writes to the volumes wait, as they do while a snapshot is being taken (`vss`).

going on ──hold──> held: whoever writes waits ──release──> going on
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.activity import Gate

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps


class Writes:
    """The writes of one booted Windows."""

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate: Gate | None = None

    @property
    def are_held(self) -> bool:
        """Whether a writer would wait now."""
        return self._gate is not None

    def hold(self) -> None:
        """Writes wait from now on."""
        self._gate = Gate()

    def release(self) -> None:
        """Writes go on."""
        if self._gate is not None:
            self._gate.open()
            self._gate = None

    def wait(self) -> Steps[None]:
        """Go on once writes are not held."""
        while self._gate is not None:
            yield self._gate
