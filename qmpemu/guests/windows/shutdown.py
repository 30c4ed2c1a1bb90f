"""The one door into a shutdown. Button, guest agent and programs in the guest all come in here and nowhere else.

request ──> discarded (nobody logged on, ShutdownWithoutLogon=0)          button only, facts 5
        ──> no effect (another shutdown is in progress)                   facts 6
        ──> waits for the log-on screen while Windows still starts        WINLOGON carries it out, facts 6
        ──> sessions ──> services ──> drivers, volume ──> PM1_CNT: power off | halt: stay | reboot: reset
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.activity import Gate
from qmpemu.guests.windows.participants import IRP_SHUTDOWN

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.participants import Driver
    from qmpemu.guests.windows.windows import Windows

BUTTON, AGENT = "power button", "guest agent"
"""Doors: who asked."""

POWER_OFF, REBOOT, HALT = "power off", "restart", "halt"
"""Goals. HALT is EWX_SHUTDOWN: Windows stops where power may be cut, and does not cut it (ExitWindowsEx, A)."""

ERROR_SUCCESS, ERROR_SHUTDOWN_IN_PROGRESS = 0, 1115

PROCESSES = {BUTTON: "winlogon.exe", AGENT: "qemu-ga.exe"}
REASON_CODES = {BUTTON: 0x000500FF, AGENT: 0x80000000}
"""Event 1074's reason code. Agent: SHTDN_REASON_FLAG_PLANNED (A); button: recalled, no source (U)."""


class ShutdownRequested(Fact):
    """Somebody asked Windows to end. forced: EWX_FORCE, applications are not asked."""

    door: str
    goal: str
    forced: bool


class ShutdownDiscarded(Fact):
    """The request was thrown away: nobody is logged on, and Windows does not allow a shutdown then."""

    setting: str
    value: int
    why: str


class RequestWithoutEffect(Fact):
    """The request changed nothing."""

    why: str


class ShutdownDeferred(Fact):
    """The request waits until Windows has started far enough to carry it out."""

    until: str


class ShutdownStarted(Fact):
    """Windows ends sessions and services now."""

    door: str
    goal: str


class ShutdownCancelled(Fact):
    """The user cancelled the shutdown; Windows keeps running with what is left."""


class DriversNotified(Fact):
    """Drivers that registered for it have handled IRP_MJ_SHUTDOWN."""

    drivers: int


class SafeToTurnOff(Fact):
    """Windows has halted and waits for its power to be cut."""


class Shutdown:
    """At most one shutdown at a time. booted: opens when a request can be carried out."""

    __slots__ = ("_drivers", "_windows", "booted", "in_progress")

    def __init__(self, windows: Windows, drivers: tuple[Driver, ...]) -> None:
        self._windows = windows
        self._drivers = drivers
        self.in_progress = False
        self.booted = Gate()

    def request(self, door: str, goal: str, *, force: bool) -> int:
        """Ask for the end of Windows; the Windows error code, 0 when accepted (which does not mean done)."""
        facts = self._windows.system.facts
        facts.chain(ShutdownRequested(door=door, goal=goal, forced=force))
        if self.in_progress:
            facts.publish(RequestWithoutEffect(why="another shutdown is in progress"))
            return ERROR_SHUTDOWN_IN_PROGRESS
        self.in_progress = True
        self._windows.system.activities.start(self._carry_out(door, goal, force))
        return ERROR_SUCCESS

    def _carry_out(self, door: str, goal: str, force: bool) -> Steps[None]:
        system, windows = self._windows.system, self._windows
        if not self.booted.is_open:
            system.facts.chain(ShutdownDeferred(until="log-on screen"))
            yield self.booted
        if door == BUTTON and self._discards():
            self.in_progress = False
            return
        system.move("shut down")
        system.facts.chain(ShutdownStarted(door=door, goal=goal))
        self._log_initiation(door, goal)
        overrule = (
            "EWX_FORCE" if force else "SHUTDOWN=1" if door == BUTTON and system.settings.SHUTDOWN else ""
        )
        ended = yield from windows.sessions.end_all(force=force, overrule=overrule)
        if not ended:
            system.move("cancel")
            system.facts.chain(ShutdownCancelled())
            self.in_progress = False
            return
        yield from windows.services.stop_all()
        yield from self._end_kernel(door, goal)

    def _discards(self) -> bool:
        windows, settings = self._windows, self._windows.system.settings
        if settings.ShutdownWithoutLogon or windows.sessions.sessions:
            return False
        windows.system.facts.publish(
            ShutdownDiscarded(setting="ShutdownWithoutLogon", value=0, why="nobody is logged on")
        )
        return True

    def _log_initiation(self, door: str, goal: str) -> None:
        computer, code = self._windows.system.computer, REASON_CODES[door]
        text = f"The process {PROCESSES[door]} has initiated the {goal} of computer {computer}"
        self._windows.log.write(1074, text, {"ReasonCode": code, "ShutdownType": goal})

    def _end_kernel(self, door: str, goal: str) -> Steps[None]:
        """The kernel's part: drivers, volume, the last events, the register that ends it."""
        system, windows = self._windows.system, self._windows
        wait_ms = sum(driver.response(IRP_SHUTDOWN).after_ms for driver in self._drivers)
        if wait_ms:
            yield wait_ms * NS_PER_MS
        system.facts.chain(DriversNotified(drivers=len(self._drivers)))
        yield from windows.volume.flush(dismount=True)
        reason = "Power Button" if door == BUTTON else "Kernel API"
        windows.log.write(
            109, "The kernel power manager has initiated a shutdown transition.", {"Reason": reason}
        )
        windows.log.write(13, "The operating system is shutting down.")
        if goal == HALT:
            system.move("halt")
            system.facts.chain(SafeToTurnOff())
        elif goal == REBOOT:
            system.move("reset written")
            windows.ospm.reset()
        else:
            system.move("S5 written")
            windows.ospm.sleep("S5")
