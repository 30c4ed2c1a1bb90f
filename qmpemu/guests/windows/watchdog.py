"""The driver of an i6300esb watchdog, where Windows has one (setting watchdog_s): it starts the countdown and feeds it.

started ──every third of the time──> fed        hung, crashed, or told to feed no more ──> the device expires
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Fact

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.system import System

I6300ESB = (0x8086, 0x25AB)
"""Its PCI identity."""
FEEDS_IN_TIME = 3
"""How often it is fed within its time (U)."""


class WatchdogStarted(Fact):
    """The driver has found the device, and let it count."""

    timeout_s: int


class WatchdogDriver:
    """One booted Windows' driver. feeds: whether it keeps the device from expiring."""

    __slots__ = ("_system", "feeds")

    def __init__(self, system: System) -> None:
        self._system = system
        self.feeds = False

    def start(self) -> None:
        """Drive the device, if it is there and not driven already."""
        system = self._system
        timeout_s = system.settings.watchdog_s
        if not timeout_s or self.feeds or I6300ESB not in system.platform.hardware().pci_ids:
            return
        self.feeds = True
        system.facts.chain(WatchdogStarted(timeout_s=timeout_s))
        system.activities.start(self._feed(timeout_s * NS_PER_S))

    def _feed(self, timeout_ns: int) -> Steps[None]:
        while self.feeds:
            self._system.platform.watchdog.set(timeout_ns)
            yield timeout_ns // FEEDS_IN_TIME
