"""Moves a Clock along with the wall: the only reader of time for a running machine.

real or scaled   the clock follows the wall at `scale`; an alarm of the loop wakes it for the next callback
virtual          the clock jumps to the next callback whenever the loop has no I/O to serve
"""

from __future__ import annotations

import time

from qmpemu.core.clock import NS_PER_S, Clock, Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.edge.loop import Handle, Loop


class Timekeeper:
    """Drives `clock` on `loop`. `after_turn` runs after each batch of callbacks (to flush what they produced)."""

    def __init__(self, loop: Loop, clock: Clock, scale: float | None, after_turn: Callable[[], None]) -> None:
        self._loop = loop
        self._clock = clock
        self._after_turn = after_turn
        self._pace = Pace(scale, time.monotonic_ns())
        self._alarm: Handle | None = None
        self._armed_for_ns: int | None = None
        clock.on_change = self._arm

    def sync(self) -> None:
        """Bring the clock up to the present; call it before acting on outside input."""
        if self._pace.scale is not None:
            self._clock.run_until(self._pace.clock_ns(time.monotonic_ns()))

    def _arm(self) -> None:
        due_ns = self._clock.next_due_ns()
        if due_ns == self._armed_for_ns:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._armed_for_ns = due_ns
        if due_ns is not None:
            wait_ns = self._pace.wait_ns(due_ns, time.monotonic_ns())
            self._alarm = self._loop.call_later(wait_ns / NS_PER_S, self._wake)

    def _wake(self) -> None:
        self._alarm = self._armed_for_ns = None
        if self._pace.scale is None:
            self._clock.step()
        else:
            self.sync()
        self._after_turn()
        self._arm()
