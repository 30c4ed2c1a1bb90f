"""The board: request flags, served in QEMU's fixed order. Commands and registers only ask; `serve` acts.

    request_*()  ──flag──>  serve():  suspend, shutdown, reset, wakeup, powerdown      (facts/windows-acpi.md §3)

Flags do not count: two presses before one serve() are one. What a served request does depends on `-action`,
`-no-reboot` and `-no-shutdown` (facts/qmp-wire.md §8), which are settings of `Actions`.
"""

from __future__ import annotations

from qmpemu.acpi import ICH9, RTC
from qmpemu.core.facts import Bus, Fact
from qmpemu.core.table import Refused
from qmpemu.machine.actions import Actions
from qmpemu.machine.happened import (
    GuestCrashLoaded,
    GuestPanicked,
    MachineReset,
    MachineResumed,
    MachineShutDown,
    MachineStopped,
    MachineSuspended,
    MachineSuspendedToDisk,
    MachineWoken,
    NmiInjected,
    PowerdownRequested,
)
from qmpemu.machine.runstate import (
    FINISH_MIGRATE,
    INMIGRATE,
    POSTMIGRATE,
    PRELAUNCH,
    RESTORE_VM,
    RUN_STATES,
    RUNNING,
    SAVE_VM,
    SHUTDOWN,
    SUSPENDED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.acpi import FixedHardware
    from qmpemu.core.clock import MachineClock
    from qmpemu.machine.processor import Processor


ALARM = "alarm"
"""The reason of a wake-up by the clock."""


class Request:
    """A raised flag: who asked (the guest or the host), QEMU's word for why, and the fact that led to it."""

    __slots__ = ("cause", "guest", "reason")

    def __init__(self, guest: bool, reason: str, cause: Fact | None) -> None:
        self.guest = guest
        self.reason = reason
        self.cause = cause


class Board:
    """Run state, request flags and the wiring between registers, processor and clock of one machine.

    acpi is None on `-machine none`, which has neither a button nor a processor to wake.
    """

    __slots__ = (
        "_facts",
        "_requests",
        "_serving",
        "acpi",
        "actions",
        "autostart",
        "clock",
        "exit_status",
        "from_outside",
        "history",
        "migrating_from",
        "on_reset",
        "on_stop",
        "once_it_runs",
        "processor",
        "runstate",
    )

    def __init__(
        self, facts: Bus, clock: MachineClock, acpi: FixedHardware | None, processor: Processor
    ) -> None:
        self._facts = facts
        self.history = processor.history
        self._requests: dict[str, Request] = {}
        self._serving = False
        self.clock = clock
        self.acpi = acpi
        self.processor = processor
        self.actions = Actions()
        self.runstate = PRELAUNCH
        self.exit_status: int | None = None
        """The process's exit status once the machine has ended for good; None while it lives."""
        self.autostart = True
        """Whether a guest that arrives running runs on at once."""
        self.migrating_from = PRELAUNCH
        """The run state in which a migration stopped the machine."""
        self.from_outside = False
        """Whether a register is being written by a test (qtest) and not by the machine's processor."""
        self.on_reset: Callable[[], None] = _nothing_else
        """What else a reset clears."""
        self.on_stop: Callable[[], None] = _nothing_else
        """What comes right behind the processors' standstill."""
        self.once_it_runs: Callable[[], None] = _nothing_else
        """What is told when a machine that has come from elsewhere runs first."""
        if acpi is not None:
            acpi.on_sci = processor.sci_changed
            acpi.on_sleep = self._sleep
            acpi.on_reset = lambda: self.request_reset(guest=True, reason="guest-reset")

    # --- requests: set a flag, nothing else -------------------------------------------------------------------

    def request_shutdown(self, *, guest: bool, reason: str) -> None:
        """Ask for the end of the machine; `reason` is a QEMU ShutdownCause."""
        self._request("shutdown", guest=guest, reason=reason)

    def request_reset(self, *, guest: bool, reason: str) -> None:
        """Ask for a reset, which -no-reboot turns into a shutdown."""
        kind = "shutdown" if self.actions.reboot == "shutdown" else "reset"
        self._request(kind, guest=guest, reason=reason)

    def request_powerdown(self) -> None:
        """Press the power button."""
        self.history.note("press")
        self._request("powerdown")

    def request_wakeup(self) -> None:
        """Wake the machine from S3. Raises Refused outside of it."""
        if self.runstate != SUSPENDED:
            raise Refused("Unable to wake up: guest is not in suspended state")
        self.history.note("wake")
        self._request("wakeup")

    def ring(self) -> None:
        """The clock's alarm: wakes the machine from S3 where PM1_EN.RTC allows it, else nothing."""
        if self.runstate == SUSPENDED and self.acpi is not None and self.acpi.pm1_en & RTC:
            self.history.note("ring")
            self._request("wakeup", reason=ALARM)
            self.serve()

    def _request(self, kind: str, *, guest: bool = False, reason: str = "") -> None:
        self._requests[kind] = Request(guest, reason, self._facts.cause)

    # --- serving ----------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Serve every pending request, in QEMU's order, until none is left or the machine has ended."""
        if not self._requests or self._serving:
            return
        self._serving = True
        try:
            while self._requests and self.exit_status is None:
                self._serve_round()
        finally:
            self._serving = False

    def _serve_round(self) -> None:
        for kind, serve in self._ORDER:
            request = self._requests.pop(kind, None)
            if request is not None and self.exit_status is None:
                self._serve_one(request, serve)

    def _serve_one(self, request: Request, serve: Callable[[Board, Request], None]) -> None:
        self._facts.run(request.cause, lambda: serve(self, request))

    def _serve_suspend(self, request: Request) -> None:
        if self.runstate != RUNNING:  # only a test can write SLP_EN then; QEMU 7.2 aborts
            return
        self._move("suspend")
        self.clock.stop()
        self._facts.chain(MachineSuspended())

    def _serve_shutdown(self, request: Request) -> None:
        self._must_be_new()
        reason = request.reason
        stays = self.actions.shutdown == "pause" and reason not in ("host-qmp-quit", "host-signal")
        if reason == "suspend-disk":
            self._facts.chain(MachineSuspendedToDisk())
            reason = "guest-shutdown"
        self._facts.chain(MachineShutDown(guest=request.guest, reason=reason, stays=stays))
        if self.runstate == POSTMIGRATE:
            self.processor.forget()  # the guest lives elsewhere, or in a file: nothing is lost
        self.processor.reset()
        if stays:
            self._halt("shutdown")
        else:
            self.clock.stop()
            self.exit_status = int(reason == "guest-panic" and self.actions.panic == "exit-failure")

    def _serve_reset(self, request: Request) -> None:
        self._must_be_new()
        if self.acpi is not None:
            self.acpi.reset()
        self.on_reset()
        self.processor.reset()
        if self.exit_status is not None:  # a device could not be reset
            return
        self._facts.chain(MachineReset(guest=request.guest, reason=request.reason))
        self._move("reset")
        if self.runstate == RUNNING:
            self.processor.start()
        else:
            self.clock.stop()

    def _serve_wakeup(self, request: Request) -> None:
        self._move("wakeup")
        if self.acpi is not None:
            self.acpi.reset()  # x86 wakes by a machine reset that keeps memory: PM1 is cleared first
            self.on_reset()
            if self.processor.runs_software:
                self.acpi.program_pm_base()
            self.acpi.wake(by_alarm=request.reason == ALARM)
        self._facts.chain(MachineWoken())
        self.clock.start()
        self.processor.wake()

    def _serve_powerdown(self, request: Request) -> None:
        self._facts.chain(PowerdownRequested())
        if self.acpi is not None:
            self.acpi.press_power_button()

    _ORDER = (
        ("suspend", _serve_suspend),
        ("shutdown", _serve_shutdown),
        ("reset", _serve_reset),
        ("wakeup", _serve_wakeup),
        ("powerdown", _serve_powerdown),
    )

    # --- run state --------------------------------------------------------------------------------------------

    def migration_stops(self) -> None:
        """Stand still while the guest is on its way. One that sleeps is woken by that."""
        if self.runstate == SUSPENDED:
            self.request_wakeup()
            self.serve()
        self.migrating_from, self.runstate = self.runstate, FINISH_MIGRATE
        self.clock.stop()
        if self.migrating_from == RUNNING:
            self._facts.chain(MachineStopped())
        self.on_stop()

    def migration_gave_up(self) -> None:
        """The guest stays: go on if it ran. One that did not run is left in `postmigrate`, as QEMU 7.2 leaves it."""
        if self.runstate != FINISH_MIGRATE:
            return
        self.runstate = POSTMIGRATE
        if self.migrating_from == RUNNING:
            self.cont()

    def migration_gave_away(self) -> None:
        """The guest is elsewhere, or in a file."""
        self.runstate = POSTMIGRATE

    def disk_failed(self) -> None:
        """A disk's policy stops the machine until somebody has mended the disk."""
        self._halt("disk failed")

    def save_stops(self) -> None:
        """Stand still while memory is written, for a dump or a snapshot."""
        if self.runstate == RUNNING:
            self._halt("stop")
            self.runstate = SAVE_VM

    def load_stops(self) -> bool:
        """Stand still to go back to a snapshot; whether it ran."""
        ran = self.runstate == RUNNING
        if ran:
            self._halt("stop")
            self.runstate = RESTORE_VM
        else:
            self.on_stop()
        return ran

    def save_ends(self) -> None:
        """Go on, where that has stopped it."""
        if self.runstate == SAVE_VM:
            self.cont()

    def cont(self) -> None:
        """Let the processors run. Raises Refused in a state that needs a reset first."""
        if self.runstate == SHUTDOWN:
            raise Refused("Resetting the Virtual Machine is required")
        if self.runstate == FINISH_MIGRATE:
            raise Refused("Migration is not finalized yet")
        before = self.runstate
        self.autostart = self.autostart or before == INMIGRATE
        self._move("cont")
        if self.runstate != before:
            self._facts.chain(MachineResumed())
            once, self.once_it_runs = self.once_it_runs, _nothing_else
            once()
            self.clock.start()
            self.processor.start()

    def stop(self) -> None:
        """Let the processors stand still; nothing happens where they already do."""
        self.autostart = self.autostart and self.runstate != INMIGRATE
        self._halt("stop")

    def inject_nmi(self) -> None:
        """Send an NMI to the processor. Raises Refused on a machine that has none."""
        if self.acpi is None:
            raise Refused("this feature or command is not currently supported")
        self.history.note("nmi")
        self._facts.chain(NmiInjected())
        self.processor.nmi()

    def guest_panicked(self, codes: tuple[int, ...] | None = None) -> None:
        """The guest told of its kernel's death, mostly through pvpanic (measured table: facts/qmp-wire.md §8).

        A processor that writes the port only asks for the stop, and the shutdown comes first: no STOP is heard.
        """
        actions = self.actions
        if actions.panic == "none":
            self._facts.chain(GuestPanicked(action="run", codes=codes))
        elif actions.panic == "pause" or (actions.panic == "shutdown" and actions.shutdown == "pause"):
            self._facts.chain(GuestPanicked(action="pause", codes=codes))
            self._halt("panic")
        else:
            self._facts.chain(GuestPanicked(action="poweroff", codes=codes))
            if self.from_outside:
                self._halt("panic")
            self.request_shutdown(guest=True, reason="guest-panic")

    def halt_by_watchdog(self) -> None:
        """Stand still because a watchdog has expired; only a machine that runs can."""
        if self.runstate == RUNNING:
            self._halt("watchdog")

    def end_at_once(self) -> None:
        """The process ends as if it had been told to, and says nothing more (a watchdog's `poweroff`)."""
        self._must_be_new()
        self.processor.reset()
        self.clock.stop()
        self.exit_status = 0

    def guest_crash_loaded(self) -> None:
        """The guest told of a crash kernel through pvpanic."""
        self._facts.chain(GuestCrashLoaded())

    def _must_be_new(self) -> None:
        """A boot that is lived again did not end the first time. Raises Refused."""
        if self.history.replaying:
            raise Refused("the guest's boot, lived again, came to an end: was it another version of qmpemu?")

    def _halt(self, given: str) -> None:
        was_running = self.runstate == RUNNING
        self._move(given)
        self.clock.stop()
        if was_running:
            self._facts.chain(MachineStopped())
        self.on_stop()

    def _move(self, given: str) -> None:
        self.runstate = RUN_STATES.next(self.runstate, given)

    def _sleep(self, state: str) -> None:
        if state == "S3":
            self._request("suspend", guest=True)
        else:
            self.request_shutdown(guest=True, reason="guest-shutdown" if state == "S5" else "suspend-disk")


def _nothing_else() -> None:
    """A machine whose registers are all in `acpi`."""


def system_wakeup_supported(acpi: FixedHardware | None) -> bool:
    """Whether `system_wakeup` can ever work: the machine has S3."""
    if acpi is None or not acpi.there:
        return False
    return acpi.chipset is ICH9 or not acpi.s3_disabled  # ICH9 says so in any case (measured)
