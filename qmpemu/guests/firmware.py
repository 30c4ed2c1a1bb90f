"""A machine that nobody has given a guest: its firmware tests it, finds nothing to boot, and says so.

It never takes the power button over, so that a press is lost (facts/windows-acpi.md §3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.acpi import RESET_CONTROL_HARD, RESET_CONTROL_PORT
from qmpemu.console import TEXT_MODE, Element, Screen
from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact

if TYPE_CHECKING:
    from qmpemu.acpi import FixedHardware
    from qmpemu.console import Console
    from qmpemu.core.clock import Lifetime
    from qmpemu.core.facts import Bus

SELF_TEST_NS = 500 * NS_PER_MS
"""From the first instruction until it has looked for something to boot."""
WORDS = ("qmpemu firmware", "Power-on self test")
"""What it says first, on the screen and on a serial line."""
NOTHING = "No bootable device."


class NothingBootable(Fact):
    """The firmware has found nothing to boot, and waits for a reset."""


def screen(*further: str) -> Screen:
    """Its text and further lines."""
    title, test = WORDS
    made = tuple(
        Element(f"line:{row}", text, (8, 8 + 16 * row, 704, 16), "mono")
        for row, text in enumerate((title, "", test, *further))
        if text
    )
    return Screen("firmware", TEXT_MODE, made)


class Firmware:
    """The firmware alone (`guests.guest.Guest`).

    says: whether the first serial line gets its text, too. again: whether its copy in RAM says that it has run before,
    as it does after a reset: then it puts a fresh copy there and resets the machine once more (measured: events of one
    or two further resets).
    """

    __slots__ = ("_acpi", "_again", "_clock", "_console", "_done", "_facts", "_says")

    def __init__(
        self,
        acpi: FixedHardware,
        clock: Lifetime,
        facts: Bus,
        console: Console,
        *,
        says: bool = False,
        again: bool = False,
    ) -> None:
        """clock: lives as long as this boot."""
        self._again = again
        self._acpi = acpi
        self._clock = clock
        self._facts = facts
        self._console = console
        self._says = says
        self._done = False

    def power_on(self) -> None:
        """The processor leaves reset."""
        if self._again:
            self._acpi.write(RESET_CONTROL_PORT, RESET_CONTROL_HARD)
            return
        self._acpi.program_pm_base()
        self._console.attach(self)
        self._write("\n".join(WORDS))
        self._clock.call_in(SELF_TEST_NS, self._give_up)

    def interrupt(self) -> None:
        """No event was enabled."""

    def nmi(self) -> None:
        """Nobody handles it."""

    def resume(self) -> None:
        """It never sleeps."""

    def power_lost(self) -> None:
        """Nothing of it is kept."""
        self._console.detach()

    def show(self) -> Screen:
        """Its text."""
        return screen("", NOTHING) if self._done else screen()

    def key(self, qcode: str, down: bool) -> None:
        """No key means anything to it."""

    def pointer(self, kind: str, name: str, value: int) -> None:
        """It has no pointer."""

    def drives_tablet(self) -> bool:
        """It has no driver for one."""
        return False

    def _give_up(self) -> None:
        self._done = True
        self._facts.publish(NothingBootable())
        self._write(NOTHING)

    def _write(self, text: str) -> None:
        serial = self._console.serial
        if self._says and serial is not None:
            serial.guest_write(f"{text}\n".replace("\n", "\r\n").encode())
