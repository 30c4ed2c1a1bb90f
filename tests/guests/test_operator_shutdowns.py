"""guests.windows.operator: shutdown.exe as somebody types it, and two things that happen at once."""

from __future__ import annotations

import pytest

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from tests.guests.desk import DAY_S, at, client, refused
from tests.guests.rig import CLOUD_SERVER, Rig

# --- shutdown.exe ---------------------------------------------------------------------------------------------


def test_shutdown_exe_waits_and_then_forces() -> None:
    """/s announces for 30 s, with event 1074 at once, and then ends programs that refuse: /f is implied."""
    rig = client()
    at(rig).veto_app("x.exe")
    at(rig).shutdown_exe('/s /c "see you" /d p:2:4')
    assert rig.events()[-1] == 1074
    assert rig.windows.log.records[-1].data == {
        "ReasonCode": 0x80020004,
        "ShutdownType": "power off",
        "Comment": "see you",
    }
    rig.run(29)
    assert rig.all("ShutdownStarted") == []
    rig.run(60)
    assert rig.board.exit_status == 0
    begun = rig.one("ShutdownStarted").at_ns - rig.one("ShutdownScheduled").at_ns
    assert begun == 30 * NS_PER_S
    assert rig.events().count(1074) == 1


def test_shutdown_exe_can_be_aborted() -> None:
    """/a within the time-out: nothing ends, event 1075; a second /a finds nothing to abort."""
    rig = client()
    at(rig).shutdown_exe("/r /t 600")
    rig.run(599)
    assert refused(rig, "shutdown_exe", "/s") == "A system shutdown has already been scheduled.(1190)"
    at(rig).shutdown_exe("/a")
    rig.run(DAY_S)
    assert rig.board.exit_status is None and rig.board.runstate == "running"
    assert rig.events()[-2:] == [1074, 1075]
    assert refused(rig, "shutdown_exe", "/a") == (
        "Unable to abort the system shutdown because no shutdown was in progress.(1116)"
    )


def test_shutdown_exe_at_once_can_be_refused() -> None:
    """/s /t 0 asks the programs, and /f or /p /f does not."""
    rig = client()
    at(rig).veto_app("x.exe")
    at(rig).shutdown_exe("/s /t 0")
    assert rig.run(DAY_S).board.exit_status is None
    assert refused(rig, "shutdown_exe", "/a").endswith("(1116)")
    forced = client()
    at(forced).veto_app("x.exe")
    at(forced).shutdown_exe("-P -F")
    assert forced.run(60).board.exit_status == 0


def test_shutdown_exe_restarts_logs_off_and_hibernates() -> None:
    """/r boots again, /l ends the session, /h writes memory to the disk."""
    restarted, logged_off, hibernated = client(), client(), client()
    at(restarted).shutdown_exe("/r /t 0")
    assert len(restarted.run(90).all("BootCompleted")) == 2
    at(logged_off).shutdown_exe("/l")
    assert logged_off.run(60).windows.sessions.users() == []
    at(hibernated).shutdown_exe("/h")
    assert hibernated.run(60).all("MachineSuspendedToDisk")


@pytest.mark.parametrize(
    ("enabled", "words", "entered"), [(1, "/hybrid", "S4"), (0, "/hybrid", "S5"), (1, "", "S5")]
)
def test_shutdown_exe_hybrid(enabled: int, words: str, entered: str) -> None:
    """/hybrid prepares fast startup where it is enabled; without the word shutdown.exe never does."""
    rig = client(HiberbootEnabled=str(enabled))
    at(rig).shutdown_exe(f"/s {words} /t 0")
    rig.run(60)
    assert rig.one("SleepRequested").data()["state"] == entered


def test_shutdown_exe_and_other_users() -> None:
    """With another user logged on an unforced shutdown is refused; a forced one is not."""
    rig = client()
    at(rig).log_on("Ada")
    rig.run(5)
    assert refused(rig, "shutdown_exe", "/s /t 0").endswith("other users logged on to the computer.(1191)")
    at(rig).shutdown_exe("/s /t 0 /f")
    assert rig.run(60).board.exit_status == 0


def test_the_button_overtakes_an_announced_shutdown() -> None:
    """A press within the time-out shuts down now."""
    rig = client()
    at(rig).shutdown_exe("/s /t 3600")
    assert rig.press().board.exit_status == 0


# --- two things at once (facts: windows-acpi 3 and 13.3) ------------------------------------------------------


@pytest.mark.parametrize("after_ms", [0, 1, 100, 500, 900])
def test_a_second_press_during_a_shutdown(after_ms: int) -> None:
    """A press at any moment of a shutdown has no effect of its own, and changes nothing about its end."""
    plain, twice = client().press(), client().press(after_ms / 1000).press()
    assert [fact.at_ns for fact in plain.all("SleepRequested")] == [
        fact.at_ns for fact in twice.all("SleepRequested")
    ]
    assert len(twice.all("ShutdownStarted")) == 1


def test_a_second_press_while_the_user_is_asked() -> None:
    """During the full-screen wait another press is ignored; it neither answers nor cancels."""
    rig = client()
    at(rig).veto_app("x.exe")
    rig.press(60).press(60)
    assert rig.one("ButtonIgnored").data() == {"why": "a shutdown is in progress"}
    assert len(rig.all("ShutdownBlocked")) == 1 and rig.board.exit_status is None


def test_two_presses_in_one_turn_are_one() -> None:
    """Requests are flags, not counters: two presses before they are served are one press."""
    rig = client()

    def twice() -> None:
        rig.board.request_powerdown()
        rig.board.request_powerdown()

    rig.ask(twice)
    rig.run(60)
    assert len(rig.all("PowerButtonPressed")) == 1 and rig.board.exit_status == 0


def test_press_and_wake_in_one_turn() -> None:
    """Wake-up is served first and resets PM1_EN, so the press of the same turn is lost; a later one is obeyed."""
    rig = client()
    at(rig).sleep()
    rig.run(30)

    def both() -> None:
        rig.board.request_powerdown()
        rig.board.request_wakeup()

    rig.ask(both)
    rig.run(60)
    assert rig.board.runstate == "running"
    assert rig.all("ButtonLost") and rig.all("PowerButtonPressed") == []
    assert rig.press().board.exit_status == 0


@pytest.mark.parametrize("ask", ["agent", "announced"])
def test_a_shutdown_asked_for_while_falling_asleep(ask: str) -> None:
    """Between the decision to sleep and S3 a request is not lost: it is carried out after the wake-up."""
    rig = client(**{"QEMU-GA": "running"})
    if ask == "announced":
        at(rig).shutdown_exe("/s /t 1")
        rig.run(0.9)
    at(rig).sleep()
    if ask == "agent":
        rig.send(b'{"execute": "guest-shutdown"}', 0.1)
    rig.run(60)
    assert rig.board.runstate == "suspended"
    at(rig).press_key()
    assert rig.run(60).board.exit_status == 0
    assert rig.one("ShutdownDeferred").data() == {"until": "wake-up"}


def test_the_agent_and_the_button_at_once() -> None:
    """Whoever comes first has the shutdown; the other one changes nothing."""
    rig = Rig(CLOUD_SERVER).boot()
    rig.send(b'{"execute": "guest-shutdown"}', 0.01)
    rig.press(60)
    assert len(rig.all("ShutdownStarted")) == 1
    assert rig.one("ShutdownStarted").data()["door"] == "guest agent"
    assert rig.one("MachineShutDown").at_ns - rig.one("ShutdownStarted").at_ns < 10_000 * NS_PER_MS
