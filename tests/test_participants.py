"""qmpemu.participants: declared in Python, by a package, or as data; what they do, and what a mistake says."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from qmpemu import participants
from qmpemu.core.clock import NS_PER_MS
from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows import declarations
from qmpemu.participants import (
    IRP_SHUTDOWN,
    PRESHUTDOWN,
    QUERY_END_SESSION,
    SHUTDOWN,
    Application,
    Driver,
    Participant,
    ParticipantError,
    Response,
    Service,
    from_data,
    named,
    participant,
)
from tests.guests.rig import CLIENT, Rig


@pytest.fixture(autouse=True)
def _own_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is gone after it."""
    monkeypatch.setattr(declarations, "DECLARED", {})


def joined(*added: Participant, **settings: str) -> Rig:
    """A client where these take part too, booted and logged on."""
    return Rig(CLIENT, {"VIDEOIDLE": "0", **settings}, participants=added).boot()


def off_after_ms(rig: Rig) -> float:
    """From the accepted press to SLP_EN."""
    return (rig.one("SleepRequested").at_ns - rig.one("ShutdownStarted").at_ns) / NS_PER_MS


# --- declared in Python ---------------------------------------------------------------------------------------


def test_a_function_can_veto() -> None:
    """A decorated function is asked at each point, and its "no" stops the shutdown with its block reason."""

    @participant("application", name="cad.exe", block_reason="Rendering")
    def cad(point: str) -> str | None:
        return "no" if point == QUERY_END_SESSION else None

    assert cad("x") is None
    rig = joined(named("cad.exe")).press(3600)
    assert rig.one("ShutdownBlocked").data() == {
        "application": "cad.exe",
        "why": "it refused",
        "shown": "Rendering",
    }


def test_a_class_has_a_method_for_each_point() -> None:
    """A decorated class is made anew for each boot; a method delays exactly as long as its Response says."""
    made: list[object] = []

    @participant("service", name="AcmeBackup", preshutdown=True, preshutdown_timeout_ms=60_000)
    class Backup:
        def __init__(self) -> None:
            made.append(self)

        def preshutdown(self) -> Response:
            return Response(after_ms=30_000)

    first, second = named("AcmeBackup"), named("AcmeBackup")
    assert made == [made[0], made[1]]
    base = off_after_ms(joined().press(600))
    late = off_after_ms(joined(first).press(600))
    assert 29_000 < late - base <= 30_000
    assert isinstance(second, Service)


def test_a_driver_takes_part() -> None:
    """A driver's delay at IRP_MJ_SHUTDOWN is part of the kernel's time."""

    @participant("driver", name="acme.sys")
    def acme(point: str) -> Response | None:
        return Response(after_ms=5_000) if point == IRP_SHUTDOWN else None

    assert off_after_ms(joined(named("acme.sys")).press()) - off_after_ms(joined().press()) == 5_000


@pytest.mark.parametrize("response", [participants.HANG, Response(after_ms=700_000)], ids=["hang", "late"])
def test_a_driver_that_keeps_the_power_irp(response: Response) -> None:
    """After the watchdog's 10 minutes it is bugcheck 0x9F, and Windows comes up again."""
    rig = joined(Driver(name="a.sys", responses={participants.IRP_SET_POWER: response})).press(590)
    assert rig.one("DriverStalled").data() == {"driver": "a.sys", "irp": "IRP_MN_SET_POWER"}
    assert rig.all("Bugchecked") == []
    rig.run(90)
    bugcheck = rig.one("Bugchecked")
    assert (bugcheck.data()["code"], bugcheck.data()["phase"]) == (0x9F, "shutting down")
    assert bugcheck.at_ns - rig.one("DriverStalled").at_ns == 600_000 * NS_PER_MS
    assert len(rig.all("BootCompleted")) == 2 and rig.board.exit_status is None


def test_a_driver_that_keeps_the_shutdown_irp() -> None:
    """IRP_MJ_SHUTDOWN has no watchdog: Windows waits a day and longer."""
    rig = joined(Driver(name="a.sys", responses={IRP_SHUTDOWN: participants.HANG})).press(24 * 3600)
    assert rig.one("DriverStalled").data() == {"driver": "a.sys", "irp": "IRP_MJ_SHUTDOWN"}
    assert rig.board.exit_status is None and rig.all("Bugchecked") == []


def test_one_of_the_same_name_replaces() -> None:
    """A participant with the name of an installed one takes its place."""
    rig = joined(Service(name="spooler", responses={SHUTDOWN: participants.HANG})).press(600)
    assert [fact.data()["service"] for fact in rig.all("ServiceTimedOut")] == ["spooler"]
    assert "Spooler" not in [fact.data()["service"] for fact in rig.all("ServiceStopped")]


# --- a participant's own mistakes do not end the machine ------------------------------------------------------


def _raises(point: str) -> str | None:
    if point in (QUERY_END_SESSION, SHUTDOWN, PRESHUTDOWN, IRP_SHUTDOWN):
        raise ZeroDivisionError("oops")
    return None


@pytest.mark.parametrize(
    ("crashing", "point"),
    [
        (Application(name="x", respond=_raises), QUERY_END_SESSION),
        (Service(name="x", respond=_raises), SHUTDOWN),
        (Service(name="x", preshutdown=True, respond=_raises), PRESHUTDOWN),
        (Driver(name="x", respond=_raises), IRP_SHUTDOWN),
    ],
    ids=["application", "service", "preshutdown", "driver"],
)
def test_an_exception_is_a_fact(crashing: Participant, point: str) -> None:
    """What a function raises is reported once with its text, and the shutdown goes on without the participant."""
    rig = joined(crashing).press(600)
    assert rig.one("ParticipantCrashed").data() == {
        "participant": "x",
        "point": point,
        "error": "ZeroDivisionError: oops",
    }
    assert rig.board.exit_status == 0


def test_a_crashed_application_loses_its_documents() -> None:
    """An application whose function raised is gone, and what was unsaved in it too."""
    rig = joined(Application(name="x", documents=("a.txt",), respond=_raises)).press(600)
    assert rig.one("DocumentsLost").data() == {"application": "x", "documents": ("a.txt",)}
    assert {"application": "x", "how": "crashed"} in [fact.data() for fact in rig.all("ApplicationEnded")]


@pytest.mark.parametrize("answer", [5, "maybe", Response(after_ms=-1), Response(after_ms=1.5)])  # type: ignore[arg-type]
def test_an_answer_that_is_none(answer: Any) -> None:
    """A function that answers nonsense counts as crashed, and the fact says what would be valid."""
    rig = joined(Application(name="x", respond=lambda point: answer)).press(600)
    error = str(rig.one("ParticipantCrashed").data()["error"])
    assert error.startswith("TypeError: the answer ") and "valid are None, 'yes', 'no', 'hang'" in error


# --- installed packages ---------------------------------------------------------------------------------------


class Offered:
    """An entry point as importlib.metadata gives it."""

    def __init__(self, name: str, held: object) -> None:
        self.name, self.value, self.held = name, f"acme:{name}", held

    def load(self) -> object:
        if isinstance(self.held, Exception):
            raise self.held
        return self.held


def offer(monkeypatch: pytest.MonkeyPatch, **held: object) -> None:
    points = [Offered(name, each) for name, each in held.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == declarations.GROUP else [])


def test_a_package_offers_participants(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point that holds a decorated function or a ready participant is found by its name."""

    @participant("service", name="AcmeBackup")
    def backup(point: str) -> None:
        return None

    offer(monkeypatch, backup=backup, ready=Driver(name="acme.sys"))
    assert isinstance(named("backup"), Service) and named("backup").name == "AcmeBackup"
    assert named("ready") == Driver(name="acme.sys")


def test_an_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package's own metadata is all it takes: its module is imported only when the name is asked for."""
    info = tmp_path / "acme_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[qmpemu.participants]\nacme-backup = acme_tools:backup\n")
    (tmp_path / "acme_tools.py").write_text(
        "from qmpemu.participants import participant\n\n"
        "@participant('service', name='AcmeBackup')\n"
        "def backup(point):\n"
        "    return 'hang'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "acme_tools" not in sys.modules
    rig = joined(named("acme-backup")).press(60)
    assert rig.one("ServiceTimedOut").data()["service"] == "AcmeBackup"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("bakcup", "participant 'bakcup' does not exist: did you mean 'backup'?"),
        (
            "number",
            "participant 'number': acme:number is none: decorate it with qmpemu.participants.participant",
        ),
        ("broken", "participant 'broken' of acme:broken cannot be loaded: ImportError: no acme"),
    ],
)
def test_a_package_s_mistakes(monkeypatch: pytest.MonkeyPatch, asked: str, sentence: str) -> None:
    """A wrong name, a wrong object and a package that does not load are each one sentence."""
    offer(monkeypatch, backup=lambda point: None, number=5, broken=ImportError("no acme"))
    with pytest.raises(ParticipantError) as raised:
        named(asked)
    assert str(raised.value) == sentence


def test_no_package_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any declared participant the sentence names the entry point group."""
    offer(monkeypatch)
    with pytest.raises(ParticipantError, match=r"no installed package offers any \(qmpemu\.participants\)$"):
        named("x")


# --- data -----------------------------------------------------------------------------------------------------


def test_data_says_the_same_as_python() -> None:
    """Every kind can be written as data, points by short or Windows' own names."""
    app, service, driver = from_data(
        [
            {
                "kind": "application",
                "name": "WINWORD.EXE",
                "level": 0x300,
                "documents": ["Report.docx"],
                "block_reason": "Unsaved",
                "noretry": False,
                "answers": {"WM_QUERYENDSESSION": "no"},
                "delays_ms": {"query_end_session": 300},
                "hangs": ["end_session"],
            },
            {
                "kind": "service",
                "name": "db",
                "preshutdown": True,
                "preshutdown_timeout_ms": 1000,
                "hangs": ["preshutdown"],
            },
            {"kind": "driver", "name": "a.sys", "delays_ms": {"irp_shutdown": 7}},
        ]
    )
    assert app == Application(
        name="WINWORD.EXE",
        level=0x300,
        documents=("Report.docx",),
        block_reason="Unsaved",
        responses={QUERY_END_SESSION: Response("no", 300), participants.END_SESSION: participants.HANG},
    )
    hang = {PRESHUTDOWN: participants.HANG}
    assert service == Service(name="db", preshutdown=True, preshutdown_timeout_ms=1000, responses=hang)
    assert driver == Driver(name="a.sys", responses={IRP_SHUTDOWN: Response(after_ms=7)})


def test_data_can_use_a_declared_one() -> None:
    """A table with `use` stands for a declared participant."""

    @participant("driver")
    def acme(point: str) -> None:
        return None

    assert from_data([{"use": "acme"}])[0].name == "acme"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"name": "x"}, "f.toml: participant 1 has no 'kind': valid are application, service, driver"),
        (
            {"kind": "aplication", "name": "x"},
            "f.toml: participant 1: kind 'aplication' does not exist: did you mean 'application'?",
        ),
        ({"kind": "driver"}, "f.toml: participant 1 has no 'name': give one such as 'WINWORD.EXE'"),
        (
            {"kind": "service", "name": "x", "zzz": True},
            "f.toml: participant 1 ('x'): kind 'service' has no 'zzz': valid are kind, name, preshutdown, "
            "preshutdown_timeout_ms, core, answers, delays_ms, hangs",
        ),
        (
            {"kind": "application", "name": "x", "delays": {}},
            "f.toml: participant 1 ('x'): kind 'application' has no 'delays': did you mean 'delays_ms'?",
        ),
        (
            {"kind": "application", "name": "x", "level": 5000},
            "f.toml: participant 1 ('x'): level cannot be 5000: valid is a whole number from 0 to 1279",
        ),
        (
            {"kind": "application", "name": "x", "window": "yes"},
            "f.toml: participant 1 ('x'): window cannot be 'yes': valid is true or false",
        ),
        (
            {"kind": "application", "name": "x", "documents": "a"},
            "f.toml: participant 1 ('x'): documents cannot be 'a': valid is a list of texts",
        ),
        (
            {"kind": "service", "name": "x", "hangs": ["shutdwn"]},
            "f.toml: participant 1 ('x'): kind 'service' is not asked at 'shutdwn': did you mean 'shutdown'?",
        ),
        (
            {"kind": "service", "name": "x", "hangs": "shutdown"},
            "f.toml: participant 1 ('x'): hangs cannot be 'shutdown': valid is a list of points",
        ),
        (
            {"kind": "service", "name": "x", "answers": {"shutdown": "maybe"}},
            "f.toml: participant 1 ('x'): the answer at 'shutdown' cannot be 'maybe': valid are yes and no",
        ),
        (
            {"kind": "service", "name": "x", "delays_ms": {"shutdown": -1}},
            "f.toml: participant 1 ('x'): the delay at 'shutdown' cannot be -1: valid is a whole number of ms from 0 "
            "to 86400000",
        ),
        (
            {"kind": "service", "name": "x", "delays_ms": 5},
            "f.toml: participant 1 ('x'): delays_ms cannot be 5: valid is a table of points and values",
        ),
        (
            {"kind": "service", "name": "x", "hangs": ["shutdown"], "answers": {"shutdown": "yes"}},
            "f.toml: participant 1 ('x'): at 'shutdown' it cannot both hang and answer",
        ),
        (
            {"use": "x", "name": "y"},
            "f.toml: participant 1: 'use' stands alone, with the name of a declared participant",
        ),
    ],
)
def test_a_mistake_in_data(table: dict[str, object], sentence: str) -> None:
    """Every mistake says the file, the participant, the key, and what would be valid."""
    with pytest.raises(GuestError) as raised:
        from_data([table], "f.toml")
    assert str(raised.value) == sentence


def test_mistakes_of_the_decorator() -> None:
    """A wrong kind, a wrong field and a class without a point are refused where they are declared."""
    with pytest.raises(ParticipantError, match=r"^participant 'x': kind 'app' does not exist"):
        participant("app", name="x")(lambda point: None)
    with pytest.raises(ParticipantError, match=r"^participant 'x': kind 'driver' has no 'level'"):
        participant("driver", name="x", level=3)(lambda point: None)
    with pytest.raises(
        ParticipantError, match=r"class Empty answers at no point: valid methods of a service are"
    ):

        @participant("service", name="x")
        class Empty:
            pass
