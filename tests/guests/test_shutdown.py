"""guests.windows session and services: who delays, refuses or hangs, and for exactly how long."""

from __future__ import annotations

import pytest

from qmpemu.core.clock import NS_PER_MS
from qmpemu.guests.windows.participants import (
    CONSOLE_CLOSE,
    END_SESSION,
    HANG,
    NO,
    PRESHUTDOWN,
    QUERY_END_SESSION,
    SHUTDOWN,
    START,
    SUSPEND,
    Application,
    Response,
    Service,
)
from qmpemu.guests.windows.session import CANCEL, CONTINUE
from tests.guests.rig import CLIENT, Rig

EVENT_LOG = Service(name="EventLog", core=True)
VETO = Application(name="veto.exe", responses={QUERY_END_SESSION: NO}, block_reason="Burning a disc")
HUNG = Application(name="hung.exe", responses={QUERY_END_SESSION: HANG})


def apps(*applications: Application, **settings: str) -> Rig:
    """A client with these applications, booted and logged on."""
    return Rig(CLIENT, settings, applications=applications).boot()


def off_after_ms(rig: Rig) -> float:
    """From the accepted press to SLP_EN."""
    return (rig.one("SleepRequested").at_ns - rig.one("ShutdownStarted").at_ns) / NS_PER_MS


# --- applications ---------------------------------------------------------------------------------------------


def test_applications_end_by_level() -> None:
    """Higher shutdown levels are asked first, equal ones in order of start; services come after all of them."""
    rig = apps(
        Application(name="last", level=2),
        Application(name="default"),
        Application(name="first", level=0x3FF),
        Application(name="default 2"),
    ).press()
    ended = [fact.data()["application"] for fact in rig.all("ApplicationEnded")]
    assert ended == ["first", "default", "default 2", "last"]
    assert rig.names("UserLoggedOff", "PreshutdownSent")[0] == "UserLoggedOff"


def test_c4_a_veto_stops_the_shutdown() -> None:
    """An application that refuses brings the full-screen wait, which has no time limit."""
    rig = apps(VETO).press(24 * 3600)
    assert rig.board.exit_status is None
    assert rig.one("ShutdownBlocked").data() == {
        "application": "veto.exe",
        "why": "it refused",
        "shown": "Burning a disc",
    }
    assert rig.names("ServicesNotified", "SleepRequested") == []


def test_unsaved_documents_refuse() -> None:
    """An application with unsaved documents refuses by itself, unless it saves them at the end."""
    assert apps(Application(name="a", documents=("x",))).press(600).all("ShutdownBlocked")
    saver = apps(Application(name="a", documents=("x",), saves_at_end=True)).press(600)
    assert saver.board.exit_status == 0
    assert saver.all("DocumentsLost") == []


def test_the_user_shuts_down_anyway() -> None:
    """CONTINUE kills the unwilling and everything unwilling after it, and loses its documents."""
    rig = apps(Application(name="a", documents=("x",)), VETO).press(100)
    assert rig.windows.sessions.answer_blocked(CONTINUE)
    rig.run(60)
    assert rig.board.exit_status == 0
    assert [fact.data()["how"] for fact in rig.all("ApplicationEnded")] == ["killed (user)", "killed (user)"]
    assert rig.one("DocumentsLost").data() == {"application": "a", "documents": ("x",)}
    assert rig.one("ButtonLatched") in list(rig.one("SleepRequested").causes())


def test_the_user_cancels() -> None:
    """CANCEL ends the shutdown; Windows keeps running, and a later press starts over."""
    rig = apps(Application(name="gone", level=0x300), VETO).press(100)
    assert rig.windows.sessions.answer_blocked(CANCEL)
    rig.run(100)
    assert rig.names()[-1] == "ShutdownCancelled"
    assert not rig.windows.sessions.answer_blocked(CONTINUE)
    assert [application.name for application in rig.windows.sessions.applications()] == ["veto.exe"]
    assert len(rig.press(100).all("ShutdownBlocked")) == 2


@pytest.mark.parametrize("setting", ["AutoEndTasks", "SHUTDOWN"])
@pytest.mark.parametrize("application", [VETO, HUNG], ids=["veto", "hung"])
def test_c4_its_remedies(application: Application, setting: str) -> None:
    """AutoEndTasks=1 or the forced button shutdown ends the unwilling without asking."""
    rig = apps(application, **{setting: "1"}).press()
    assert rig.board.exit_status == 0
    assert rig.one("ApplicationEnded").data()["how"] == f"killed ({setting}=1)"


def test_a_hung_application_costs_its_time_out() -> None:
    """With AutoEndTasks an application that never answers delays the shutdown by HungAppTimeout, to the millisecond."""
    settings = {"AutoEndTasks": "1", "HungAppTimeout": "7000"}
    assert off_after_ms(apps(HUNG, **settings).press()) - off_after_ms(apps(**settings).press()) == 7000


def test_a_hang_at_the_end_costs_the_other_time_out() -> None:
    """The same in WM_ENDSESSION, with WaitToKillAppTimeout."""
    hung = Application(name="hung.exe", responses={END_SESSION: HANG})
    settings = {"AutoEndTasks": "1", "WaitToKillAppTimeout": "20000"}
    assert off_after_ms(apps(hung, **settings).press()) - off_after_ms(apps(**settings).press()) == 20_000


def test_a_late_application_ends_the_wait_itself() -> None:
    """An application that answers only after its time-out is shown as blocking, until it answers."""
    late = Application(name="late.exe", responses={QUERY_END_SESSION: Response(after_ms=65_000)})
    rig = apps(late).press(120)
    assert rig.one("BlockedAnswered").data() == {"by": "late.exe"}
    assert off_after_ms(rig) - off_after_ms(apps().press()) == 65_000


def test_a_windowless_program_cannot_refuse() -> None:
    """A console or windowless program is killed where one with a window would be asked about."""
    rig = apps(Application(name="job", window=False, responses={QUERY_END_SESSION: NO})).press()
    assert rig.board.exit_status == 0
    assert rig.one("ApplicationEnded").data()["how"] == "killed (no window)"


def test_c4_shutdown_noretry() -> None:
    """A program that set SHUTDOWN_NORETRY is ended where another would be asked about."""
    rig = apps(Application(name="job", noretry=True, responses={QUERY_END_SESSION: HANG})).press()
    assert rig.board.exit_status == 0
    assert rig.one("ApplicationEnded").data()["how"] == "killed (SHUTDOWN_NORETRY)"


@pytest.mark.parametrize(
    ("response", "costs_ms", "how"),
    [
        (Response(after_ms=700), 700, "by itself"),
        (NO, 0, "killed (console program)"),
        (HANG, 5000, "killed (console program)"),
        (Response(after_ms=60_000), 5000, "killed (console program)"),
    ],
)
def test_a_console_program_cannot_refuse(response: Response, costs_ms: int, how: str) -> None:
    """It gets CTRL_CLOSE_EVENT and HungAppTimeout to act on it, and is never asked about."""
    base = off_after_ms(apps().press())
    rig = apps(Application(name="cmd.exe", console=True, responses={CONSOLE_CLOSE: response})).press()
    assert off_after_ms(rig) - base == costs_ms
    assert rig.one("ApplicationEnded").data()["how"] == how
    assert rig.all("ApplicationAnswered") == []


def test_an_application_that_refuses_late() -> None:
    """One that answers only after its time-out, and then says no, is asked about again, without a limit."""
    rig = apps(Application(name="x", responses={QUERY_END_SESSION: Response("no", 20_000)})).press(24 * 3600)
    assert [fact.data()["why"] for fact in rig.all("ShutdownBlocked")] == ["not responding", "it refused"]


def test_a_saving_application_says_what_it_saved() -> None:
    """An application that saves by itself at WM_ENDSESSION loses nothing, and the history shows it."""
    rig = apps(Application(name="a", documents=("x",), saves_at_end=True)).press()
    assert rig.one("DocumentsSaved").data() == {"application": "a", "documents": ("x",), "by": "a"}


def test_a_forced_shutdown_asks_nobody() -> None:
    """EWX_FORCE sends no query, kills what hangs, and loses unsaved documents."""
    stuck = Application(name="stuck", responses={QUERY_END_SESSION: NO, END_SESSION: HANG})
    rig = apps(stuck, Application(name="a", documents=("x",)))
    rig.ask(lambda: rig.windows.request_shutdown("guest agent", "power off", force=True))
    rig.run(60)
    assert rig.board.exit_status == 0
    assert rig.all("ApplicationAnswered") == []
    ended = {fact.data()["application"]: fact.data()["how"] for fact in rig.all("ApplicationEnded")}
    assert ended == {"stuck": "killed (EWX_FORCE)", "a": "by itself"}
    assert rig.one("DocumentsLost").data()["documents"] == ("x",)


def test_a_function_decides() -> None:
    """A participant's one function is asked first, and may leave the answer to the data."""
    asked: list[str] = []

    def respond(point: str) -> Response | None:
        asked.append(point)
        return NO if asked == [START, QUERY_END_SESSION] else None

    rig = apps(Application(name="moody", respond=respond)).press(100)
    assert rig.all("ShutdownBlocked")
    rig.windows.sessions.answer_blocked(CANCEL)
    assert rig.run(1).press(100).board.exit_status == 0
    assert asked == [START, QUERY_END_SESSION, QUERY_END_SESSION, END_SESSION]


# --- services -------------------------------------------------------------------------------------------------


def serving(*services: Service, **settings: str) -> Rig:
    """A server with these services and the event log, booted."""
    return Rig(settings=settings, services=(*services, EVENT_LOG)).boot()


def stopped(rig: Rig) -> list[object]:
    """Services in the order in which they stopped."""
    return [fact.data()["service"] for fact in rig.all("ServiceStopped")]


def test_preshutdown_order() -> None:
    """PreshutdownOrder first, one after the other; other preshutdown services together; then SHUTDOWN; core last."""
    slow = {PRESHUTDOWN: Response(after_ms=500)}
    rig = serving(
        Service(name="plain"),
        Service(name="extra a", preshutdown=True, responses={PRESHUTDOWN: Response(after_ms=300)}),
        Service(name="extra b", preshutdown=True, responses={PRESHUTDOWN: Response(after_ms=200)}),
        Service(name="second", preshutdown=True, responses=slow),
        Service(name="first", preshutdown=True, responses=slow),
        PreshutdownOrder="FIRST;absent;second",
    )
    base = off_after_ms(serving().press())
    rig.press()
    assert stopped(rig) == ["first", "second", "extra b", "extra a", "plain", "QEMU-GA"]
    assert off_after_ms(rig) - base == 500 + 500 + 300
    assert rig.names("ServiceStopped", "CoreServicesStopped")[-1] == "CoreServicesStopped"


@pytest.mark.parametrize("response", [HANG, Response(after_ms=60_000)], ids=["hung", "slow"])
def test_a_service_delays_by_exactly_its_time_out(response: Response) -> None:
    """A service that does not stop in time costs WaitToKillServiceTimeout, and Windows goes on without it."""
    base = off_after_ms(serving().press())
    rig = serving(
        Service(name="stuck", responses={SHUTDOWN: response}), WaitToKillServiceTimeout="12000"
    ).press()
    assert off_after_ms(rig) - base == 12_000
    assert rig.one("ServiceTimedOut").data() == {
        "service": "stuck",
        "control": SHUTDOWN,
        "setting": "WaitToKillServiceTimeout",
        "waited_ms": 12_000,
    }


def test_a_core_service_that_hangs_costs_its_time_out() -> None:
    """Core services get WaitToKillServiceTimeout too, and no more."""
    base = off_after_ms(serving().press())
    rig = serving(Service(name="SamSs", core=True, responses={SHUTDOWN: HANG})).press()
    assert off_after_ms(rig) - base == 5000
    assert rig.one("ServiceTimedOut").data()["service"] == "SamSs"


def test_an_application_that_hangs_at_sleep_costs_two_seconds() -> None:
    """PBT_APMSUSPEND: each application gets 2 s, whether it is slow or hangs."""
    slept_ns = []
    for response in (Response(), HANG, Response(after_ms=60_000)):
        rig = apps(Application(name="x", responses={SUSPEND: response}), PBUTTONACTION="1").press()
        slept_ns.append(rig.one("MachineSuspended").at_ns - rig.one("SleepStarted").at_ns)
    assert [(ns - slept_ns[0]) / NS_PER_MS for ns in slept_ns] == [0, 2000, 2000]


def test_services_stop_together() -> None:
    """SHUTDOWN goes to all at once: the phase takes as long as the slowest, not the sum."""
    base = off_after_ms(serving().press())
    slow = [Service(name=f"s{i}", responses={SHUTDOWN: Response(after_ms=1000 + i)}) for i in range(20)]
    assert off_after_ms(serving(*slow).press()) - base == 1019


@pytest.mark.parametrize(("own_ms", "waited_ms"), [(None, 10_000), (180_000, 180_000)])
def test_a_preshutdown_time_out_is_event_7043(own_ms: int | None, waited_ms: int) -> None:
    """A preshutdown service has its own time-out or the default one; running into it is logged."""
    service = Service(
        name="UsoSvc", preshutdown=True, preshutdown_timeout_ms=own_ms, responses={PRESHUTDOWN: HANG}
    )
    rig = serving(service).press(300)
    assert off_after_ms(rig) - off_after_ms(serving().press()) == waited_ms
    assert rig.events() == [6005, 1074, 7043, 6006, 109, 13]
    assert stopped(rig) == ["QEMU-GA"]


def test_a_power_cut_names_the_services_that_were_stopping() -> None:
    """Services that had their control and had not stopped are part of the loss."""
    rig = serving(Service(name="database", responses={SHUTDOWN: Response(after_ms=4000)})).press(1)
    rig.cut_power()
    assert rig.one("PowerLost").data()["services"] == ("database",)
