"""The one door into a shutdown. Button, guest agent and programs in the guest all come in here and nowhere else.

request ──> discarded (nobody logged on, ShutdownWithoutLogon=0)          button only, facts 5
        ──> no effect (another shutdown is in progress)                   facts 6
        ──> waits for the log-on screen while Windows still starts        WINLOGON carries it out, facts 6
        ──> waits for the wake-up while Windows falls asleep or wakes
        ──> sessions ──> services ──> drivers, volume ──> PM1_CNT: power off | halt: stay | reboot: reset
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.activity import Gate
from qmpemu.guests.windows.participants import IRP_SET_POWER, IRP_SHUTDOWN

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.participants import Driver
    from qmpemu.guests.windows.windows import Windows

BUTTON, AGENT, SHUTDOWN_EXE, SAC = "power button", "guest agent", "shutdown.exe", "SAC"
"""Doors: who asked."""

POWER_OFF, REBOOT, HALT = "power off", "restart", "halt"
"""Goals. HALT is EWX_SHUTDOWN: Windows stops where power may be cut, and does not cut it (ExitWindowsEx, A)."""

ERROR_SUCCESS, ERROR_SHUTDOWN_IN_PROGRESS = 0, 1115

PROCESSES = {BUTTON: "winlogon.exe", AGENT: "qemu-ga.exe", SHUTDOWN_EXE: "shutdown.exe", SAC: "System"}
REASON_CODES = {BUTTON: 0x000500FF, AGENT: 0x80000000, SHUTDOWN_EXE: 0, SAC: 0}
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


class DriverStalled(Fact):
    """A driver does not give an IRP back."""

    driver: str
    irp: str


class FastStartupPrepared(Fact):
    """The users are logged off, kernel and services are in hiberfil.sys, and the power may go."""

    setting: str


class SafeToTurnOff(Fact):
    """Windows has halted and waits for its power to be cut."""


class Shutdown:
    """At most one shutdown at a time. booted, awake: open when a request can be carried out (again)."""

    __slots__ = ("_windows", "awake", "booted", "drivers", "goal", "in_progress")

    def __init__(self, windows: Windows, drivers: tuple[Driver, ...]) -> None:
        self._windows = windows
        self.drivers = drivers
        self.in_progress = False
        self.goal = ""
        """What the shutdown in progress is to end in."""
        self.booted = Gate()
        self.awake = Gate()

    def request(
        self,
        door: str,
        goal: str,
        *,
        force: bool,
        reason: int | None = None,
        comment: str = "",
        announced: bool = False,
        hybrid: bool = False,
    ) -> int:
        """Ask for the end of Windows; the Windows error code, 0 when accepted (which does not mean done).

        reason, comment: for event 1074, unless it was `announced` before. hybrid: by fast startup, if it is enabled.
        """
        facts = self._windows.system.facts
        facts.chain(ShutdownRequested(door=door, goal=goal, forced=force))
        if self.in_progress:
            facts.publish(RequestWithoutEffect(why="another shutdown is in progress"))
            return ERROR_SHUTDOWN_IN_PROGRESS
        self.in_progress = True
        self.goal = goal
        self._windows.system.activities.start(
            self._carry_out(door, goal, force, None if announced else (reason, comment), hybrid=hybrid)
        )
        return ERROR_SUCCESS

    def announce(self, door: str, goal: str, reason: int | None, comment: str) -> None:
        """Write down who wants the end of Windows, and why: event 1074."""
        computer = self._windows.system.computer
        code = REASON_CODES[door] if reason is None else reason
        text = f"The process {PROCESSES[door]} has initiated the {goal} of computer {computer}"
        data: dict[str, str | int] = {"ReasonCode": code, "ShutdownType": goal}
        self._windows.log.write(1074, text, {**data, "Comment": comment} if comment else data)

    def _carry_out(
        self, door: str, goal: str, force: bool, to_announce: tuple[int | None, str] | None, *, hybrid: bool
    ) -> Steps[None]:
        system, windows = self._windows.system, self._windows
        if not self.booted.is_open:
            system.facts.chain(ShutdownDeferred(until="log-on screen"))
            yield self.booted
        while not system.allows("shut down"):  # on the way into S3 or S4, or back
            system.facts.chain(ShutdownDeferred(until="wake-up"))
            self.awake = Gate()
            yield self.awake
        if door == BUTTON and self._discards():
            self.in_progress = False
            return
        system.move("shut down")
        system.facts.chain(ShutdownStarted(door=door, goal=goal))
        wanted, given = (yield from windows.tracker.before_shutdown()) if door == BUTTON else (True, "")
        if wanted and to_announce is not None:
            self.announce(door, goal, to_announce[0], to_announce[1] or given)
        overrule = (
            "EWX_FORCE" if force else "SHUTDOWN=1" if door == BUTTON and system.settings.SHUTDOWN else ""
        )
        ended = wanted and (yield from system.hooks.let_shutdown())
        if ended:
            ended = yield from windows.sessions.end_all(force=force, overrule=overrule)
        if not ended:
            system.move("cancel")
            system.facts.chain(ShutdownCancelled())
            self.in_progress = False
            return
        if goal == POWER_OFF and (hybrid or door == BUTTON) and self._is_fast():
            yield from self._fast_startup()
            return
        yield from system.writes.wait()
        yield from windows.update.at_shutdown()
        yield from windows.services.stop_all()
        yield from self._end_kernel(door, goal)

    def _is_fast(self) -> bool:
        """Whether fast startup is on and possible; with an update to install the shutdown is a full one (U)."""
        windows = self._windows
        enabled = bool(windows.system.settings.HiberbootEnabled)
        return enabled and windows.ospm.offers("S4") and not windows.update.waits

    def _fast_startup(self) -> Steps[None]:
        """Users are logged off, kernel and services go to hiberfil.sys; volumes stay mounted (facts 4)."""
        system, windows = self._windows.system, self._windows
        windows.log.write(42, "The system is entering sleep.", {"TargetState": "S4"})
        yield from windows.volume.flush(dismount=False)
        yield system.settings.hibernate_ms * NS_PER_MS
        failed = tuple(windows.services.failed)
        windows.disk.change(running=False, hiberfile="fast startup", sessions={}, failed_services=failed)
        system.facts.chain(FastStartupPrepared(setting="HiberbootEnabled"))
        system.move("S4 written")
        windows.ospm.sleep("S4")

    def _discards(self) -> bool:
        windows, settings = self._windows, self._windows.system.settings
        if settings.ShutdownWithoutLogon or windows.sessions.sessions:
            return False
        windows.system.facts.publish(
            ShutdownDiscarded(setting="ShutdownWithoutLogon", value=0, why="nobody is logged on")
        )
        return True

    def _notify(self, irp: str, watchdog_ms: int | None) -> Steps[None]:
        """Send each driver an IRP and wait for all of them; only the power IRP has a watchdog (facts 7: 0x9F)."""
        wait_ms = 0
        for driver in self.drivers:
            response = driver.response(irp)
            late = watchdog_ms is not None and response.after_ms >= watchdog_ms
            if response.answer == "hang" or late:
                yield from self._stall(driver.name, irp, watchdog_ms)
            wait_ms += response.after_ms
        if wait_ms:
            yield wait_ms * NS_PER_MS

    def _stall(self, driver: str, irp: str, watchdog_ms: int | None) -> Steps[None]:
        """A driver keeps an IRP: Windows waits for ever, or until the watchdog's bugcheck."""
        self._windows.system.facts.chain(DriverStalled(driver=driver, irp=irp))
        if watchdog_ms is not None:
            yield watchdog_ms * NS_PER_MS
            self._windows.bugcheck(0x9F, "DRIVER_POWER_STATE_FAILURE")
        yield Gate()

    def _end_kernel(self, door: str, goal: str) -> Steps[None]:
        """The kernel's part: drivers, volume, the last events, the register that ends it."""
        system, windows = self._windows.system, self._windows
        yield from self._notify(IRP_SHUTDOWN, None)
        system.facts.chain(DriversNotified(drivers=len(self.drivers)))
        yield from windows.volume.flush(dismount=True)
        reason = "Power Button" if door == BUTTON else "Kernel API"
        windows.log.write(
            109, "The kernel power manager has initiated a shutdown transition.", {"Reason": reason}
        )
        windows.log.write(13, "The operating system is shutting down.")
        windows.disk.change(running=False, dialog=False)
        yield from self._notify(IRP_SET_POWER, system.settings.power_irp_watchdog_ms)
        if goal == HALT:
            system.move("halt")
            system.facts.chain(SafeToTurnOff())
        elif goal == REBOOT:
            system.move("reset written")
            windows.ospm.reset()
        else:
            system.move("S5 written")
            windows.ospm.sleep("S5")
