"""machine.board and processor: requests, the run states of facts/qmp-wire.md §7 and §8, interrupts on the clock."""

import pytest

from qmpemu.acpi import ICH9, PM1_EN, PM1_STS, PWRBTN, FixedHardware
from qmpemu.core.clock import NS_PER_S, Clock, Lifetime, MachineClock
from qmpemu.core.facts import Bus
from qmpemu.core.table import Refused
from qmpemu.machine.board import Board
from qmpemu.machine.processor import POWER_GOOD_NS, Processor
from qmpemu.machine.runstate import RUN_STATES

EVENTS = {
    "PowerdownRequested",
    "MachineShutDown",
    "MachineReset",
    "MachineStopped",
    "MachineResumed",
    "MachineSuspended",
    "MachineSuspendedToDisk",
    "MachineWoken",
}


class Software:
    """The least software: enables the button at power-on, and acknowledges it."""

    def __init__(self, rig: "Rig", boot: Lifetime) -> None:
        self.rig = rig
        self.calls: list[str] = rig.calls

    def power_on(self) -> None:
        self.calls.append("power_on")
        self.rig.acpi.program_pm_base()
        self.rig.acpi.write(ICH9.pm_base + PM1_EN, PWRBTN)

    def interrupt(self) -> None:
        self.calls.append("interrupt")
        if self.rig.acknowledges:
            self.rig.acpi.write(ICH9.pm_base + PM1_STS, PWRBTN)

    def nmi(self) -> None:
        self.calls.append("nmi")

    def resume(self) -> None:
        self.calls.append("resume")

    def power_lost(self) -> None:
        self.calls.append("power_lost")


class Rig:
    """Board, processor, registers and clock, wired as a machine is."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.acknowledges = True
        self.host = Clock()
        self.facts = Bus(lambda: self.host.now_ns)
        self.clock = MachineClock(self.host, self.facts, lambda: self.board.serve())
        self.acpi = FixedHardware(ICH9, self.facts, s3_disabled=False, s4_disabled=False)
        self.processor = Processor(self.clock, lambda boot: Software(self, boot))
        self.board = Board(self.facts, self.clock, self.acpi, self.processor)

    def booted(self) -> "Rig":
        self.board.cont()
        self.host.run_until(2 * POWER_GOOD_NS)
        return self

    def run(self, seconds: float = 1.0) -> None:
        self.host.run_until(self.host.now_ns + int(seconds * NS_PER_S))

    def sleep(self, slp_typ: int) -> None:
        self.acpi.write(ICH9.pm_base + 4, 0x2000 | slp_typ << 10)
        self.board.serve()

    def events(self) -> list[str]:
        return [fact.name for fact in self.facts.kept if fact.name in EVENTS]


def in_state(state: str) -> Rig:
    """A rig brought to `state` the way a client would."""
    rig = Rig()
    if state == "prelaunch":
        return rig
    rig.booted()
    if state == "paused":
        rig.board.stop()
    elif state == "suspended":
        rig.sleep(1)
    elif state == "shutdown":
        rig.board.actions.shutdown = "pause"
        rig.sleep(0)
    assert rig.board.runstate == state
    rig.facts.kept.clear()
    return rig


def reset(rig: Rig) -> None:
    rig.board.request_reset(guest=False, reason="host-qmp-system-reset")
    rig.board.serve()


def powerdown(rig: Rig) -> None:
    rig.board.request_powerdown()
    rig.board.serve()


def wakeup(rig: Rig) -> None:
    rig.board.request_wakeup()
    rig.board.serve()


DO = {
    "cont": lambda rig: rig.board.cont(),
    "stop": lambda rig: rig.board.stop(),
    "reset": reset,
    "powerdown": powerdown,
    "wakeup": wakeup,
}


@pytest.mark.parametrize(
    ("state", "command", "events", "after"),
    [
        ("prelaunch", "cont", ["MachineResumed"], "running"),
        ("running", "cont", [], "running"),
        ("prelaunch", "stop", [], "prelaunch"),
        ("paused", "stop", [], "paused"),
        ("suspended", "stop", [], "suspended"),
        ("shutdown", "stop", [], "shutdown"),
        ("running", "stop", ["MachineStopped"], "paused"),
        ("paused", "reset", ["MachineReset"], "prelaunch"),
        ("prelaunch", "reset", ["MachineReset"], "prelaunch"),
        ("running", "reset", ["MachineReset"], "running"),
        ("shutdown", "reset", ["MachineReset"], "prelaunch"),
        ("suspended", "reset", ["MachineReset"], "prelaunch"),
        ("suspended", "cont", [], "suspended"),
        ("suspended", "wakeup", ["MachineWoken"], "running"),
        ("prelaunch", "powerdown", ["PowerdownRequested"], "prelaunch"),
        ("paused", "powerdown", ["PowerdownRequested"], "paused"),
        ("suspended", "powerdown", ["PowerdownRequested"], "suspended"),
        ("shutdown", "powerdown", ["PowerdownRequested"], "shutdown"),
        ("running", "powerdown", ["PowerdownRequested"], "running"),
    ],
)
def test_run_state_table(state: str, command: str, events: list[str], after: str) -> None:
    """Each command in each state gives QEMU's events and QEMU's next state."""
    rig = in_state(state)
    DO[command](rig)
    assert (rig.events(), rig.board.runstate) == (events, after)


@pytest.mark.parametrize(
    ("state", "command", "text"),
    [
        ("shutdown", "cont", "Resetting the Virtual Machine is required"),
        ("running", "wakeup", "Unable to wake up: guest is not in suspended state"),
        ("paused", "wakeup", "Unable to wake up: guest is not in suspended state"),
    ],
)
def test_refusals_change_nothing(state: str, command: str, text: str) -> None:
    """A refused command leaves state and events untouched."""
    rig = in_state(state)
    with pytest.raises(Refused, match=f"^{text}$"):
        DO[command](rig)
    assert (rig.events(), rig.board.runstate) == ([], state)


def test_two_presses_before_one_service_are_one() -> None:
    """Request flags do not count."""
    rig = in_state("running")
    rig.board.request_powerdown()
    rig.board.request_powerdown()
    rig.board.serve()
    assert rig.events() == ["PowerdownRequested"]


def test_the_interrupt_comes_on_the_clock_never_inside_the_command() -> None:
    """The guest hears of a press only when time has passed."""
    rig = in_state("running")
    powerdown(rig)
    assert "interrupt" not in rig.calls
    rig.run()
    assert rig.calls[-1] == "interrupt"


def test_a_press_while_paused_is_delivered_on_cont() -> None:
    """The status bit is latched while the processor stands still."""
    rig = in_state("paused")
    powerdown(rig)
    rig.run(3600)
    assert "interrupt" not in rig.calls
    rig.board.cont()
    rig.run()
    assert rig.calls[-1] == "interrupt"


def test_a_press_before_the_guest_enabled_the_button_is_lost() -> None:
    """A fresh machine has PM1_EN 0."""
    rig = Rig()
    powerdown(rig)
    rig.booted()
    rig.run()
    assert rig.calls == ["power_on"]


def test_wake_before_press_loses_the_press() -> None:
    """Both requested in one turn: the wake is served first and clears PM1_EN, so the press is lost."""
    rig = in_state("suspended")
    rig.board.request_powerdown()
    rig.board.request_wakeup()
    rig.board.serve()
    assert [fact.name for fact in rig.facts.kept if fact.name in ("MachineWoken", "ButtonLost")] == [
        "MachineWoken",
        "ButtonLost",
    ]


@pytest.mark.parametrize("slp_typ", [0, 2])
def test_guest_power_off_ends_the_machine(slp_typ: int) -> None:
    """S5 is SHUTDOWN guest-shutdown and exit 0; S4 is SUSPEND_DISK first."""
    rig = in_state("running")
    rig.sleep(slp_typ)
    assert rig.events() == (["MachineSuspendedToDisk"] if slp_typ else []) + ["MachineShutDown"]
    assert rig.facts.kept[-1].data() == {"guest": True, "reason": "guest-shutdown", "stays": False}
    assert rig.board.exit_status == 0
    assert rig.calls[-1] == "power_lost"


def test_no_shutdown_keeps_the_machine() -> None:
    """With shutdown=pause a power-off is SHUTDOWN then STOP, and the machine stays in `shutdown`."""
    rig = in_state("running")
    rig.board.actions.shutdown = "pause"
    rig.sleep(0)
    assert rig.events() == ["MachineShutDown", "MachineStopped"]
    assert (rig.board.runstate, rig.board.exit_status) == ("shutdown", None)


@pytest.mark.parametrize("reason", ["host-qmp-quit", "host-signal"])
def test_quit_and_signals_end_the_machine_whatever_the_actions_say(reason: str) -> None:
    """-no-shutdown makes no difference to quit and SIGTERM."""
    rig = in_state("running")
    rig.board.actions.shutdown = "pause"
    rig.board.request_shutdown(guest=False, reason=reason)
    rig.board.serve()
    assert (rig.events(), rig.board.exit_status) == (["MachineShutDown"], 0)


def test_no_reboot_turns_a_reset_into_a_shutdown() -> None:
    """With reboot=shutdown a guest reset is SHUTDOWN guest-reset."""
    rig = in_state("running")
    rig.board.actions.reboot = "shutdown"
    rig.acpi.write(0xCF9, 0x0F)
    rig.board.serve()
    assert rig.facts.kept[-1].data() == {"guest": True, "reason": "guest-reset", "stays": False}


def test_a_reset_boots_anew() -> None:
    """A running machine that is reset loses its software and powers on again."""
    rig = in_state("running")
    reset(rig)
    rig.run()
    assert rig.calls == ["power_on", "power_lost", "power_on"]


def test_software_that_never_acknowledges_is_interrupted_a_limited_number_of_times() -> None:
    """A line that stays high is delivered again and again, but not for ever."""
    rig = in_state("running")
    rig.acknowledges = False
    powerdown(rig)
    rig.run(60)
    assert rig.calls.count("interrupt") == 1000
    assert rig.host.next_due_ns() is None


def test_an_nmi_reaches_the_software() -> None:
    """inject-nmi is delivered on the clock."""
    rig = in_state("running")
    rig.board.inject_nmi()
    rig.run()
    assert rig.calls[-1] == "nmi"


def test_every_state_of_the_table_can_be_left_by_reset_or_is_running() -> None:
    """No run state is a dead end."""
    for state in RUN_STATES.states():
        assert RUN_STATES.allows(state, "reset")
