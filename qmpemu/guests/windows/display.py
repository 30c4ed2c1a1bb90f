"""The display: turns off after VIDEOIDLE seconds without input, and swallows the press that lights it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Fact

if TYPE_CHECKING:
    from qmpemu.core.clock import Timer
    from qmpemu.guests.windows.system import System


class DisplayTurnedOff(Fact):
    """The display went dark."""

    why: str


class DisplayLit(Fact):
    """The display is lit again."""

    why: str


class Display:
    """The console's display. It is lit from power-on; its idle time counts from the log-on screen."""

    __slots__ = ("_idle", "_system", "lit")

    def __init__(self, system: System) -> None:
        self._system = system
        self._idle: Timer | None = None
        self.lit = True

    def touch(self, why: str) -> bool:
        """Input arrived: light the display and count anew. True if it was dark."""
        was_dark, self.lit = not self.lit, True
        if was_dark:
            self._system.facts.chain(DisplayLit(why=why))
        idle_s = self._system.settings.VIDEOIDLE
        self._cancel()
        if idle_s:
            self._idle = self._system.activities.after(idle_s * NS_PER_S, lambda: self.turn_off("VIDEOIDLE"))
        return was_dark

    def turn_off(self, why: str) -> None:
        """Go dark."""
        self._cancel()
        if self.lit:
            self.lit = False
            self._system.facts.publish(DisplayTurnedOff(why=why))

    def _cancel(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
