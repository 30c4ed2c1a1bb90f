"""The display: goes dark after a time without input, and swallows the press that lights it again."""

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

    __slots__ = ("_idle", "_setting", "_system", "lit")

    def __init__(self, system: System) -> None:
        self._system = system
        self._idle: Timer | None = None
        self._setting = "VIDEOIDLE"
        self.lit = True

    def touch(self, why: str) -> bool:
        """Input arrived: light the display and count anew. True if it was dark."""
        was_dark, self.lit = not self.lit, True
        if was_dark:
            self._system.facts.chain(DisplayLit(why=why))
        self._count()
        return was_dark

    def console_locked(self, locked: bool) -> None:
        """The console was locked or unlocked: another time-out counts from now (facts: windows-acpi 5)."""
        self._setting = "VIDEOCONLOCK" if locked else "VIDEOIDLE"
        self._count()

    def turn_off(self, why: str) -> None:
        """Go dark."""
        self._cancel()
        if self.lit:
            self.lit = False
            self._system.facts.publish(DisplayTurnedOff(why=why))

    def _count(self) -> None:
        self._cancel()
        setting, settings = self._setting, self._system.settings
        idle_s = settings.VIDEOCONLOCK if setting == "VIDEOCONLOCK" else settings.VIDEOIDLE
        if idle_s and self.lit:
            self._idle = self._system.activities.after(idle_s * NS_PER_S, lambda: self.turn_off(setting))

    def _cancel(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
