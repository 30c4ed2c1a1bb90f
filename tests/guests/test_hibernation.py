"""What hiberfil.sys keeps, what a cut takes of it, and when fast startup is none (mission C1, C6, S2; facts 4)."""

from __future__ import annotations

import pytest

from qmpemu.guests.windows.operator import Operator
from qmpemu.guests.windows.participants import Application, Service
from qmpemu.verdict import Entry, verdict
from tests.guests.rig import CLIENT, STOCK_SERVER, Rig

HIBERNATES = {"PBUTTONACTION": "2"}
CAD = Application(name="cad.exe", documents=("Model.dwg",))


def resumed(rig: Rig, seconds: float = 60) -> Rig:
    """The machine hibernates by its button, and is powered on again."""
    rig.press()
    assert rig.one("SleepRequested").data()["state"] == "S4"
    return Rig(rig.name, rig.settings, participants=rig.participants, store=rig.store).boot(seconds)


def test_programs_come_back_with_their_documents() -> None:
    """A document is open in its own program again, and one that was saved stays saved."""
    rig = Rig(CLIENT, HIBERNATES, participants=(CAD,)).boot()
    operator = Operator(rig.windows)
    operator.save_document("Model.dwg")
    operator.edit_document("Plan.docx")
    again = resumed(rig)
    assert again.windows.sessions.unsaved() == ("WINWORD.EXE: Plan.docx",)
    session = again.windows.sessions.active
    assert session is not None
    assert [r.application.name for r in session.running.values() if "Model.dwg" in r.opened] == ["cad.exe"]


def test_what_blocked_before_blocks_after() -> None:
    """A program that refuses to end refuses after hibernation too (C4): only its button's meaning has changed."""
    rig = Rig(CLIENT, HIBERNATES).boot()
    Operator(rig.windows).veto_app("cad.exe")
    rig.press()
    again = Rig(CLIENT, store=rig.store).boot().press(600)
    assert again.one("ShutdownBlocked").data()["application"] == "cad.exe"
    assert not again.all("SleepRequested")


def test_the_lock_and_a_failed_service_come_back() -> None:
    """The session is still locked, and the tracker still knows that a service has failed (C2)."""
    rig = Rig(STOCK_SERVER, {**HIBERNATES, "AutoAdminLogon": "1"}).boot()
    Operator(rig.windows).service_error("Spooler")
    Operator(rig.windows).lock()
    again = resumed(rig)
    session = again.windows.sessions.active
    assert session is not None and session.locked
    assert again.windows.services.failed == ["Spooler"]
    assert "Spooler" not in again.windows.services.running


def test_malware_comes_back_as_malware() -> None:
    """Hibernation does not cure: the process that refuses and respawns does so after it (C7)."""
    rig = Rig(CLIENT, HIBERNATES).boot()
    Operator(rig.windows).infect("respawn_veto")
    rig.press()
    again = Rig(CLIENT, {"SHUTDOWN": "1", "AutoEndTasks": "1"}, store=rig.store).boot().press(3_600)
    assert again.windows.system.phase == "shutting down"


@pytest.mark.parametrize(("seconds", "lost"), [(2, ()), (6, ("WINWORD.EXE: Plan.docx",))])
def test_a_cut_while_it_is_read_takes_what_it_held(seconds: float, lost: tuple[str, ...]) -> None:
    """Before the loader has used hiberfil.sys up nothing is lost; from then on until the sessions are back, all is."""
    rig = Rig(CLIENT, HIBERNATES).boot()
    Operator(rig.windows).edit_document("Plan.docx")
    again = resumed(rig, seconds)
    again.cut_power()
    assert again.one("PowerLost").data()["documents"] == lost
    third = Rig(CLIENT, HIBERNATES, store=rig.store).boot()
    came_back = third.windows.sessions.unsaved()
    assert (came_back == ()) is bool(lost)
    assert (41 in third.events()) is bool(lost)


def test_fast_startup_is_a_completed_shutdown() -> None:
    """The verdict of a shutdown by fast startup: completed, without a loss."""
    rig = Rig(CLIENT, {"HiberbootEnabled": "1"}).boot().press()
    judged = verdict([Entry.of(fact) for fact in rig.facts.kept])
    assert judged["outcome"] == "completed"
    assert judged["events"] == [6005, 1074, 42]
    assert judged["lost"] == {"documents": [], "services": [], "update": [], "volumes": []}


def test_an_update_is_not_put_off_by_fast_startup() -> None:
    """A staged update makes the shutdown a full one, and installs (C1); the shutdown after it is fast again."""
    fast = {"HiberbootEnabled": "1"}
    rig = Rig(CLIENT, {**fast, "pending_update": "quick"}).boot().press(300)
    assert rig.one("UpdateEnded").data() == {"outcome": "installed"}
    assert rig.one("SleepRequested").data()["state"] == "S5"
    again = Rig(CLIENT, fast, store=rig.store).boot(120).press()
    assert again.one("SleepRequested").data()["state"] == "S4"


def test_fast_startup_keeps_a_failed_service_failed() -> None:
    """Services are in hiberfil.sys: what failed before the shutdown has failed after the start."""
    fast = {"HiberbootEnabled": "1", "ShutdownReasonOn": "0"}
    rig = Rig(CLIENT, fast, participants=(Service(name="Backup"),)).boot()
    Operator(rig.windows).service_error("Backup")
    rig.press()
    again = Rig(CLIENT, fast, participants=rig.participants, store=rig.store).boot()
    assert again.windows.services.failed == ["Backup"]
