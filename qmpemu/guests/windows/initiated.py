"""InitiateSystemShutdownEx and AbortSystemShutdown: what `shutdown.exe` calls.

initiate ──time-out 0──> the one door                        (cannot be aborted any more, facts 6)
    └──time-out > 0──> announced: 1074, a dialog ──time-out──> the one door
                               └──abort──> nothing happened: 1075
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.guests.windows import winerror
from qmpemu.guests.windows.shutdown import SHUTDOWN_EXE

if TYPE_CHECKING:
    from qmpemu.core.clock import Timer
    from qmpemu.guests.windows.windows import Windows


class ShutdownScheduled(Fact):
    """A shutdown was announced; until its time-out it can be aborted."""

    goal: str
    timeout_s: int
    comment: str


class ScheduledShutdownAborted(Fact):
    """An announced shutdown was called off."""


class Initiated:
    """The one shutdown that may be announced at a time."""

    __slots__ = ("_timer", "_windows", "announced")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._timer: Timer | None = None
        self.announced: tuple[str, int, str] | None = None
        """Goal, due time in ns of machine time, and comment of the shutdown that is announced."""

    def initiate(
        self, goal: str, timeout_s: int, *, force: bool, reason: int, comment: str, hybrid: bool = False
    ) -> int:
        """Ask for a shutdown, now or later; the Windows error code, 0 when accepted."""
        windows = self._windows
        if windows.shutdown.in_progress:
            return winerror.SHUTDOWN_IN_PROGRESS
        if self._timer is not None:
            return winerror.SHUTDOWN_IS_SCHEDULED
        if not windows.shutdown.booted.is_open:
            return winerror.NOT_READY
        if len(windows.sessions.sessions) > 1 and not force:
            return winerror.SHUTDOWN_USERS_LOGGED_ON
        if not timeout_s:
            return windows.request_shutdown(
                SHUTDOWN_EXE, goal, force=force, reason=reason, comment=comment, hybrid=hybrid
            )
        windows.system.facts.chain(ShutdownScheduled(goal=goal, timeout_s=timeout_s, comment=comment))
        windows.shutdown.announce(SHUTDOWN_EXE, goal, reason, comment)
        due_ns = windows.system.platform.clock.now_ns + timeout_s * NS_PER_S
        self.announced = goal, due_ns, comment
        self._timer = windows.system.activities.after(
            timeout_s * NS_PER_S, lambda: self._due(goal, force, hybrid)
        )
        return winerror.SUCCESS

    def abort(self) -> int:
        """Call an announced shutdown off; the Windows error code."""
        if self._timer is None:
            return winerror.NO_SHUTDOWN_IN_PROGRESS
        self._timer.cancel()
        self._timer = self.announced = None
        windows = self._windows
        windows.system.facts.chain(ScheduledShutdownAborted())
        windows.log.write(
            1075, f"The last attempt to shut down computer {windows.system.computer} was aborted"
        )
        return winerror.SUCCESS

    def _due(self, goal: str, force: bool, hybrid: bool) -> None:
        self._timer = self.announced = None
        self._windows.request_shutdown(SHUTDOWN_EXE, goal, force=force, announced=True, hybrid=hybrid)
