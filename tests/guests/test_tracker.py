"""The tracker's dialog after an unclean end meets everything else that can happen meanwhile (mission C2, facts 8)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from qmpemu.guests.windows.operator import Operator, OperatorError
from tests.guests.rig import CLIENT, STOCK_SERVER, Rig
from tests.guests.test_random_acts import STEPS, play_steps

LIMIT_S = 120


def asked(**given: str) -> Rig:
    """A server after an unclean end: its administrator is logged on and asked why."""
    settings = {"AutoAdminLogon": "1", **given}
    rig = Rig(STOCK_SERVER, settings).boot()
    rig.cut_power()
    rig = Rig(STOCK_SERVER, settings, store=rig.store).boot()
    assert shown(rig) == ["Shutdown Event Tracker: why did the computer shut down unexpectedly?"]
    return rig


def shown(rig: Rig) -> list[str]:
    """What the console shows."""
    return [prompt.text for prompt in rig.windows.system.prompts.shown]


def test_the_dialog_goes_with_its_session() -> None:
    """Who logs off before the time is over takes the dialog along; it comes back with the next log-on."""
    rig = asked()
    Operator(rig.windows).log_off()
    rig.run(LIMIT_S * 2)
    assert shown(rig) == []
    assert not rig.all("ReasonRefused")
    Operator(rig.windows).log_on("Ada")
    rig.run(10)
    assert len(shown(rig)) == 1


def test_a_shutdown_goes_on_over_the_dialog() -> None:
    """A shutdown that is slow behind the log-off is not disturbed by the dialog's time-out."""
    rig = asked()
    Operator(rig.windows).stage_update("stuck")
    rig.press(LIMIT_S * 2)
    assert not rig.all("ReasonRefused")
    rig.run(1_000)
    assert rig.all("SleepRequested")


def test_a_blocked_shutdown_does_not_log_anybody_off_beside_itself() -> None:
    """While the full-screen wait is shown the time-out ends nothing, and the answer goes to the wait."""
    rig = asked()
    Operator(rig.windows).veto_app("cad.exe")
    rig.press(LIMIT_S * 2)
    assert shown(rig) == ["cad.exe is preventing shutdown"]
    Operator(rig.windows).answer_prompt("continue")
    rig.run(60)
    assert rig.all("SleepRequested")
    assert len(rig.all("UserLoggedOff")) == 1


def test_a_blocked_log_off_is_not_begun_again() -> None:
    """A log-off that waits for its user is the only one there is when the dialog's time is over."""
    rig = asked()
    operator = Operator(rig.windows)
    operator.veto_app("cad.exe")
    operator.log_off()
    rig.run(LIMIT_S * 2)
    assert len(rig.all("LogOffStarted")) == 1
    operator.answer_prompt("continue")
    rig.run(10)
    assert rig.windows.sessions.users() == []


def test_one_answer_is_enough() -> None:
    """With two users logged on both are asked; the first answer ends both dialogs, and is one event 1076."""
    rig = asked()
    Operator(rig.windows).log_on("Ada")
    rig.run(10)
    assert len(shown(rig)) == 2
    Operator(rig.windows).answer_prompt("a cable")
    rig.run(LIMIT_S * 2)
    assert shown(rig) == []
    assert rig.events().count(1076) == 1
    assert len(rig.windows.sessions.users()) == 2


def test_shutdown_exe_logs_off_once() -> None:
    """`shutdown /l` during a log-off is refused with a sentence, and disturbs nothing."""
    rig = Rig(CLIENT).boot()
    operator = Operator(rig.windows)
    operator.veto_app("cad.exe")
    operator.shutdown_exe("/l")
    rig.run(5)
    with pytest.raises(OperatorError, match="'User' is being logged off already"):
        operator.shutdown_exe("/l")
    operator.answer_prompt("continue")
    rig.run(5)
    assert rig.windows.sessions.users() == []


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_whatever_somebody_does_under_the_dialog(steps: list[tuple[float, tuple[str, str]]]) -> None:
    """Any acts after an unclean end: nothing but sentences comes back, and a reason is asked for, given or refused."""
    rig = play_steps(asked(), steps)
    assert rig.all("ParticipantCrashed") == []
    assert len(rig.all("ReasonRefused")) <= len(rig.all("LogOffStarted"))
