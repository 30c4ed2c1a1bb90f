"""guests.windows.operator: what somebody at the console can do, and what each session's state refuses."""

from __future__ import annotations

import pytest

from qmpemu.guests.windows import operator as console
from qmpemu.guests.windows.operator import ACTIONS, Operator, OperatorError
from tests.guests.desk import DAY_S, at, client, refused
from tests.guests.rig import CLIENT, STOCK_SERVER, Rig

# --- log-on, log-off, lock ------------------------------------------------------------------------------------


def test_c3_somebody_logs_on() -> None:
    """A stock server discards the press until an operator has logged on; the log-on takes its time."""
    rig = Rig(STOCK_SERVER).boot().press(60)
    at(rig).log_on("Ada")
    assert rig.windows.sessions.users() == []
    rig.run(2)
    assert rig.windows.sessions.users() == ["Ada"]
    assert rig.press().board.exit_status == 0
    assert rig.one("OperatorActed") in list(rig.one("UserLoggedOn").causes())


def test_c3_the_last_one_logs_off() -> None:
    """A client with ShutdownWithoutLogon=0 obeys while somebody is logged on, and discards after the log-off."""
    rig = client(ShutdownWithoutLogon="0")
    at(rig).log_off()
    rig.run(10)
    assert rig.names("LogOffStarted", "UserLoggedOff") == ["LogOffStarted", "UserLoggedOff"]
    assert rig.press(600).all("ShutdownDiscarded")


def test_log_on_is_refused_where_it_makes_no_sense() -> None:
    """Nobody logs on twice, nor while another one is arriving."""
    rig = client()
    assert refused(rig, "log_on", "user") == "'User' is logged on already"
    at(rig).log_on("Ada")
    assert refused(rig, "log_on", "Bob") == "'Ada' is just logging on: wait for the desktop"


def test_two_users_switch() -> None:
    """A second log-on takes the console and locks the first session; both end with the shutdown."""
    rig = client()
    at(rig).log_on("Ada")
    rig.run(5)
    assert [(session.user, session.locked) for session in rig.windows.sessions.sessions] == [
        ("User", True),
        ("Ada", False),
    ]
    at(rig).log_on("User")
    assert [(session.user, session.locked) for session in rig.windows.sessions.sessions] == [
        ("Ada", True),
        ("User", False),
    ]
    rig.press()
    assert [fact.data()["user"] for fact in rig.all("UserLoggedOff")] == ["Ada", "User"]
    assert rig.board.exit_status == 0


def test_a_locked_session_takes_nothing() -> None:
    """Locked: no documents and no programs until it is unlocked; the power button still works."""
    rig = client(VIDEOCONLOCK="0")
    at(rig).lock()
    locked = "the session of 'User' is locked: unlock it first"
    assert refused(rig, "edit_document", "a.txt") == locked
    assert refused(rig, "lock") == locked
    assert refused(rig, "log_off") == locked
    assert refused(rig, "shutdown_exe", "/s") == locked
    at(rig).unlock()
    at(rig).lock()
    assert rig.press().board.exit_status == 0


def test_a_locked_console_goes_dark() -> None:
    """A locked console's display turns off after VIDEOCONLOCK seconds, and then takes the first press."""
    rig = client()
    at(rig).lock()
    rig.run(61)
    assert rig.one("DisplayTurnedOff").data() == {"why": "VIDEOCONLOCK"}
    assert rig.press(30).board.exit_status is None
    assert rig.press(30).board.exit_status == 0


def test_unlock_is_refused_where_nothing_is_locked() -> None:
    """There must be a session, and it must be locked."""
    assert refused(client(), "unlock") == "the session of 'User' is not locked"
    assert refused(Rig().boot(), "unlock") == "there is no session to unlock: nobody is logged on"


def test_a_log_off_can_be_blocked_and_cancelled() -> None:
    """The same full-screen wait as at a shutdown: a cancelled log-off leaves the session, and what is left in it."""
    rig = client()
    at(rig).veto_app("stubborn.exe")
    at(rig).log_off()
    rig.run(60)
    assert rig.one("LogOffBlocked").data()["application"] == "stubborn.exe"
    assert refused(rig, "log_off") == "'User' is being logged off already"
    at(rig).answer_prompt("cancel")
    rig.run(1)
    assert rig.one("LogOffCancelled").data() == {"user": "User"}
    assert rig.windows.sessions.users() == ["User"]


def test_a_shutdown_waits_for_a_log_off() -> None:
    """A press during a blocked log-off waits for it; the forced switch overrules the blocking program instead."""
    waiting, forced = client(), client(SHUTDOWN="1")
    for rig in (waiting, forced):
        at(rig).veto_app("stubborn.exe")
        at(rig).log_off()
        rig.run(60).press(60)
        assert rig.one("LogOffAwaited").data() == {"user": "User"}
    assert forced.board.exit_status == 0
    assert waiting.board.exit_status is None
    at(waiting).answer_prompt("continue")
    assert waiting.run(60).board.exit_status == 0


# --- documents and prompts ------------------------------------------------------------------------------------


def test_a_document_s_life() -> None:
    """Opened, edited, saved: only changes that are in memory alone are lost with the power."""
    rig = client()
    at(rig).open_document("Report.docx")
    assert rig.windows.sessions.unsaved() == ()
    at(rig).edit_document("Report.docx")
    assert rig.windows.sessions.unsaved() == ("WINWORD.EXE: Report.docx",)
    at(rig).save_document("Report.docx")
    assert rig.windows.sessions.unsaved() == ()
    at(rig).edit_document("notes.txt")
    rig.cut_power()
    assert rig.one("PowerLost").data()["documents"] == ("notepad.exe: notes.txt",)


def test_documents_refuse_what_cannot_be() -> None:
    """No document without a session, none twice, none saved that is not open, none in a program that hangs."""
    assert refused(Rig().boot(), "open_document", "a.txt") == (
        "nobody is logged on to open a document: log somebody on first"
    )
    rig = client()
    assert refused(rig, "save_document", "a.txt") == "'a.txt' is not open: no document is open"
    at(rig).open_document("a.txt")
    assert refused(rig, "open_document", "a.txt") == "'a.txt' is open already, in notepad.exe"
    assert refused(rig, "save_document", "b.txt") == "'b.txt' is not open: did you mean 'a.txt'?"
    at(rig).hang_app("NOTEPAD.EXE")
    assert refused(rig, "edit_document", "a.txt") == "notepad.exe does not respond"


@pytest.mark.parametrize(
    ("answer", "off", "facts"),
    [
        ("save", True, ["SaveChangesAsked", "DocumentsSaved"]),
        ("discard", True, ["SaveChangesAsked", "DocumentsDiscarded"]),
        ("continue", True, ["SaveChangesAsked", "DocumentsLost"]),
        ("cancel", False, ["SaveChangesAsked"]),
    ],
)
def test_c4_unsaved_documents_ask(answer: str, off: bool, facts: list[str]) -> None:
    """An edited document holds the shutdown until the user saves it, gives it up, shuts down anyway or cancels."""
    rig = client()
    at(rig).edit_document("Report.docx")
    rig.press(DAY_S)
    assert rig.board.exit_status is None
    at(rig).answer_prompt(answer)
    rig.run(60)
    assert (rig.board.exit_status == 0) == off
    assert rig.names("SaveChangesAsked", "DocumentsSaved", "DocumentsDiscarded", "DocumentsLost") == facts
    assert bool(rig.all("ShutdownCancelled")) != off


def test_prompts_take_their_answers_only() -> None:
    """Without a prompt there is nothing to answer; a wrong answer says the nearest right one."""
    rig = client()
    assert refused(rig, "answer_prompt") == "there is nothing to answer: no prompt is shown"
    at(rig).veto_app("x.exe")
    rig.press(60)
    assert refused(rig, "answer_prompt", "contnue") == (
        "'x.exe is preventing shutdown' cannot be answered with 'contnue': did you mean 'continue'?"
    )
    assert refused(rig, "answer_prompt", "save").endswith("valid are continue, cancel")
    assert at(rig).answer_prompt() == "x.exe is preventing shutdown: continue"
    assert rig.run(60).board.exit_status == 0


# --- display, sleep, key --------------------------------------------------------------------------------------


def test_display_and_key() -> None:
    """A dark display takes a press; after a key it is lit, and the press shuts down."""
    rig = client()
    at(rig).display_off()
    assert refused(rig, "display_off") == "the display is off already"
    at(rig).press_key()
    assert rig.press().board.exit_status == 0


def test_c6_asleep_until_a_key() -> None:
    """Asleep, a press is not processed and no act is possible; a key wakes Windows, and then it obeys."""
    rig = client()
    at(rig).sleep()
    rig.run(30).press(DAY_S)
    assert rig.board.runstate == "suspended"
    asleep = "Windows is asleep: wake it first, with press_key or system_wakeup"
    assert refused(rig, "edit_document", "a.txt") == asleep
    assert refused(rig, "answer_prompt", "cancel") == asleep
    at(rig).press_key()
    assert rig.run(30).board.runstate == "running"
    assert rig.press().board.exit_status == 0


def test_no_keyboard_to_wake_with() -> None:
    """Where the machine gave the operator no way to wake it, the sentence says which command does."""
    rig = client()
    at(rig).sleep()
    rig.run(30)
    with pytest.raises(OperatorError, match=r"^no keyboard of this machine wakes it: use system_wakeup$"):
        Operator(rig.windows).press_key()


def test_sleep_needs_s3() -> None:
    """A machine without S3 refuses."""
    rig = Rig(CLIENT, s3_disabled=True).boot()
    assert refused(rig, "sleep") == "this machine offers no S3"


# --- when nothing is possible ---------------------------------------------------------------------------------


def test_no_act_before_the_log_on_screen() -> None:
    """In firmware there is no Windows to take input, and while services start no log-on."""
    assert refused(Rig(CLIENT).boot(1), "log_on", "Ada") == "Windows takes no input: its phase is 'firmware'"
    assert refused(Rig(CLIENT).boot(15), "log_on", "Ada") == (
        "Windows is still starting: wait for its log-on screen"
    )


def test_no_act_during_a_shutdown_but_answers() -> None:
    """A Windows on its way down refuses everything except answers."""
    rig = client()
    at(rig).veto_app("x.exe")
    rig.press(60)
    assert refused(rig, "log_on", "Ada") == ("Windows is shutting down: it only takes answers to its prompts")


def test_no_windows_at_all() -> None:
    """A machine without a guest has no operator."""
    with pytest.raises(OperatorError, match=r"^no Windows runs on this machine now"):
        console.of(None)


def test_a_dead_windows_takes_nothing() -> None:
    """After a power cut the operator of that boot can do nothing any more."""
    rig = client()
    operator = at(rig)
    rig.cut_power()
    with pytest.raises(OperatorError, match=r"^this Windows has lost its power"):
        operator.lock()


def test_actions_by_name() -> None:
    """A wrong name, a missing and a superfluous argument are each one sentence."""
    operator = at(client())
    for name, argument, sentence in [
        ("log_of", "", "action 'log_of' does not exist: did you mean 'log_off'?"),
        ("lock", "x", "action 'lock' takes no argument, and got 'x'"),
        ("infect", "", "action 'infect' needs its KIND, as in infect=KIND"),
    ]:
        with pytest.raises(OperatorError) as raised:
            operator.do(name, argument)
        assert str(raised.value) == sentence


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_explains_itself(name: str) -> None:
    """Each act has a meaning that is a sentence, and an argument in capitals, in brackets where it may be left out."""
    action = ACTIONS[name]
    assert action.meaning.endswith(".") and action.argument == action.argument.upper()
    assert (name, action.argument, action.meaning) in console.acts()


# --- what goes wrong ------------------------------------------------------------------------------------------


def test_c7_infected_once() -> None:
    """An infection holds; the same one cannot be had twice, and a wrong kind says the nearest."""
    rig = client()
    at(rig).infect("abort_shutdown")
    assert refused(rig, "infect", "abort_shutdown") == "Windows is damaged by 'abort_shutdown' already"
    assert refused(rig, "infect", "abort") == "fault 'abort' does not exist: did you mean 'abort_shutdown'?"
    assert rig.press(60).press(60).board.exit_status is None
    assert len(rig.all("ShutdownCancelled")) == 2


def test_c4_hanging_and_refusing_programs() -> None:
    """A program the operator made hang stalls the shutdown; where AutoEndTasks is on it costs its time-out only."""
    rig = client()
    at(rig).hang_app("explorer.exe")
    assert rig.press(DAY_S).board.exit_status is None
    quick = client(AutoEndTasks="1")
    at(quick).hang_app("explorer.exe")
    assert quick.press(60).board.exit_status == 0
    assert refused(Rig().boot(), "hang_app", "x.exe") == (
        "nobody is logged on, so 'x.exe' cannot run: log somebody on first"
    )


def test_a_hanging_service_of_any_name() -> None:
    """A service that hangs costs its time-out, whether it was installed or not."""
    for name in ("spooler", "MSSQLSERVER"):
        rig = client()
        at(rig).hang_service(name)
        assert rig.press(60).board.exit_status == 0
        timed_out = rig.one("ServiceTimedOut").data()
        assert (str(timed_out["service"]).casefold(), timed_out["waited_ms"]) == (name.casefold(), 5000)


def test_a_failed_service_is_logged() -> None:
    """A service that ends with an error is event 7034, and no longer takes part."""
    rig = client()
    at(rig).service_error("Spooler")
    assert rig.one("ServiceFailed").data() == {"service": "Spooler"}
    assert rig.events()[-1] == 7034
    assert "Spooler" not in rig.windows.services.running
