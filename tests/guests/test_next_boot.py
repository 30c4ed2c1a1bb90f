"""What an end leaves on the disk, and what the next boot shows of it (mission S3, S4; facts: windows-acpi 8 to 10)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpemu.guests.guest import MemoryStore
from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows.disk import Disk, DiskState, decode
from qmpemu.guests.windows.operator import Operator
from tests.guests.rig import CLIENT, CLOUD_SERVER, STOCK_SERVER, Rig

CLEAN = [1074, 6006, 109, 13]
UNCLEAN = [41, 6008, 6005, 1001]


def again(rig: Rig, seconds: float = 120, name: str = "", **given: str) -> Rig:
    """The same disk in a new machine, powered on."""
    return Rig(name or rig.name, given or rig.settings, store=rig.store).boot(seconds)


def state(rig: Rig) -> DiskState:
    """What is stored."""
    data = rig.store.load()
    assert data is not None
    return decode(data)


def test_a_clean_end_leaves_nothing_behind() -> None:
    """A soft shutdown leaves a clean volume, and the next boot has nothing to say of it."""
    rig = Rig(CLOUD_SERVER).boot().press()
    assert rig.events() == [6005, *CLEAN]
    assert (state(rig).running, state(rig).dirty) == (False, ())
    assert again(rig).events() == [6005]


def test_a_forced_end_shows_at_the_next_boot() -> None:
    """A cut leaves the volume dirty: events 41 and 6008 before 6005, and chkdsk; the boot after is clean again."""
    rig = Rig(CLOUD_SERVER).boot()
    rig.cut_power()
    assert (state(rig).running, state(rig).dirty) == (True, ("C:",))
    second = again(rig)
    assert second.events() == UNCLEAN
    assert second.one("VolumeChecked").data() == {"volume": "C:", "took_ms": 20_000}
    second.press()
    assert again(second).events() == [6005]


def test_a_reset_is_a_forced_end() -> None:
    """system_reset costs what a cut costs, and the same machine's next boot shows it."""
    rig = Rig(CLOUD_SERVER).boot()
    rig.ask(lambda: rig.board.request_reset(guest=False, reason="host-qmp-system-reset"))
    rig.run(120)
    assert rig.events() == [6005, *UNCLEAN]


def test_a_bugcheck_is_named_by_the_next_boot() -> None:
    """Event 41 carries the code of the crash before."""
    rig = Rig(CLOUD_SERVER).boot()
    rig.ask(rig.processor.nmi)
    rig.run(120)
    logged = [record for record in rig.windows.log.records if record.id == 41]
    assert logged[0].data == {"BugcheckCode": 0x80, "SleepInProgress": 0, "PowerButtonTimestamp": 0}
    assert state(rig).bugcheck == 0


def test_power_that_goes_in_s3_is_unclean() -> None:
    """S3 lives in memory: event 41 says that a sleep was in progress."""
    rig = Rig(CLIENT, {"PBUTTONACTION": "1"}).boot().press()
    rig.cut_power()
    second = again(rig)
    assert second.windows.log.records[0].data["SleepInProgress"] == 1


def test_two_failed_boots_end_in_startup_repair() -> None:
    """Power that goes twice before the log-on screen: the third boot repairs first, and comes up."""
    rig = Rig(CLOUD_SERVER).boot(6)
    for _ in range(2):
        rig.cut_power()
        rig = again(rig, 6)
    assert rig.one("StartupRepairRan").data() == {"failed_boots": 2}
    rig.run(300)
    assert rig.windows.system.phase == "running"
    assert state(rig).failed_boots == 0


# --- C1 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "off_after_s"), [("quick", (60, 120)), ("slow", (2700, 2800))])
def test_an_update_makes_the_shutdown_long(kind: str, off_after_s: tuple[int, int]) -> None:
    """The power goes off when the update is done, and no sooner."""
    rig = Rig(CLOUD_SERVER, {"pending_update": kind}).boot()
    pressed_s = rig.host.now_ns / 1e9
    rig.press(4000)
    assert off_after_s[0] < rig.one("SleepRequested").at_ns / 1e9 - pressed_s < off_after_s[1]
    percents = [fact.data()["percent"] for fact in rig.all("UpdateScreenShown")]
    assert percents == list(range(0, 100, 5))
    second = again(rig)
    assert [fact.data()["outcome"] for fact in second.all("UpdateEnded")] == ["configured"]
    assert second.events() == [6005]


def test_a_stuck_update_is_given_up_by_its_watchdog() -> None:
    """15 minutes without progress: TrustedInstaller gives up, the power goes off, the next boot undoes it."""
    rig = Rig(CLOUD_SERVER, {"pending_update": "stuck"}).boot()
    rig.press(60)
    assert rig.one("UpdateStalled").data()["limit_s"] == 900
    assert not rig.all("SleepRequested")
    rig.run(900)
    assert rig.one("UpdateAbandoned").data() == {"percent": 35}
    assert rig.all("SleepRequested")
    second = again(rig, 600)
    assert {fact.data()["text"] for fact in second.all("UpdateScreenShown")} == {
        "Undoing changes made to your computer"
    }
    assert state(second).update == "none"


def test_no_watchdog_waits_for_ever() -> None:
    """BlockTimeIncrement=0: a stuck update never lets go."""
    rig = Rig(CLOUD_SERVER, {"pending_update": "stuck", "BlockTimeIncrement": "0"}).boot().press(86_400)
    assert rig.windows.system.phase == "shutting down"


def test_power_cut_in_the_middle_of_an_update() -> None:
    """What was half applied is named as lost, and undone at the next boot."""
    rig = Rig(CLOUD_SERVER, {"pending_update": "quick"}).boot().press(30)
    rig.cut_power()
    assert str(rig.one("PowerLost").data()["update"]).startswith("installing ")
    second = again(rig, 900)
    assert second.events() == UNCLEAN
    assert [fact.data()["outcome"] for fact in second.all("UpdateEnded")] == ["undone"]


@pytest.mark.parametrize(
    ("shutdown_s", "boot_s", "half"), [(300, 5, ""), (300, 20, "configuring"), (30, 90, "undoing 20 %")]
)
def test_power_cut_while_the_next_boot_works_on_it(shutdown_s: float, boot_s: float, half: str) -> None:
    """The ledger names what this cut has broken off, not what an earlier one has; the boot after ends it."""
    rig = Rig(CLOUD_SERVER, {"pending_update": "quick"}).boot().press(shutdown_s)
    rig.cut_power()
    second = again(rig, boot_s)
    second.cut_power()
    assert second.one("PowerLost").data()["update"] == half
    third = again(second, 900)
    assert [fact.data()["outcome"] for fact in third.all("UpdateEnded")] == [
        "configured" if shutdown_s == 300 else "undone"
    ]


def test_the_agent_does_not_skip_an_update() -> None:
    """A forced shutdown by the guest agent waits for the update as well (facts 11)."""
    rig = Rig(CLOUD_SERVER, {"pending_update": "quick"}).boot()
    rig.send(b'{"execute":"guest-shutdown"}\n', 50)
    assert not rig.all("SleepRequested")
    rig.run(60)
    assert rig.all("SleepRequested")


# --- C2 -------------------------------------------------------------------------------------------------------------


def failed_server(**given: str) -> Rig:
    """A stock server with somebody logged on, on which a service has failed."""
    rig = Rig(STOCK_SERVER, {"AutoAdminLogon": "1", **given}).boot()
    Operator(rig.windows).service_error("Spooler")
    return rig


def test_the_tracker_waits_for_the_operator() -> None:
    """After a failed service a press waits for a reason, without end; an answer lets it go on."""
    rig = failed_server().press(86_400)
    assert rig.one("ReasonPrompted").data()["failed"] == ("Spooler",)
    assert not rig.all("SleepRequested")
    Operator(rig.windows).answer_prompt("the printer broke")
    rig.run(60)
    assert rig.all("SleepRequested")
    assert [r.data.get("Comment") for r in rig.windows.log.records if r.id == 1074] == ["the printer broke"]


def test_the_tracker_can_be_cancelled() -> None:
    """The operator cancels: Windows keeps running, and another press asks again."""
    rig = failed_server().press(5)
    Operator(rig.windows).answer_prompt("cancel")
    rig.run(5)
    assert rig.windows.system.phase == "running"
    assert 1074 not in rig.events()
    assert len(rig.press(5).all("ReasonPrompted")) == 2


@pytest.mark.parametrize("settings", [{"ShutdownReasonOn": "0"}, {"ShutdownReasonOn": "3"}])
def test_without_the_tracker_nobody_is_asked(settings: dict[str, str]) -> None:
    """Off, or for workstations only: the same press completes."""
    assert failed_server(**settings).press(60).all("SleepRequested")


def test_after_an_unclean_end_the_first_to_log_on_is_asked() -> None:
    """Event 1076 carries the reason, and nobody is asked again."""
    rig = Rig(STOCK_SERVER, {"AutoAdminLogon": "1"}).boot()
    rig.cut_power()
    second = again(rig)
    assert Operator(second.windows).answer_prompt().endswith("Other Failure: System Unresponsive")
    second.run(5)
    assert second.events() == [*UNCLEAN, 1076]
    second.press(60)
    assert again(second).events() == [6005]


def test_who_gives_no_reason_is_logged_off() -> None:
    """Two minutes without an answer end the session; the next one is asked again."""
    rig = Rig(STOCK_SERVER, {"AutoAdminLogon": "1"}).boot()
    rig.cut_power()
    second = again(rig, 300)
    assert second.one("ReasonRefused").data() == {"user": "Administrator"}
    assert second.windows.sessions.users() == []
    assert state(second).dialog


# --- hibernation ------------------------------------------------------------------------------------------------------


def test_hibernation_brings_everything_back() -> None:
    """After S4 the users and their open documents are there again, and nothing was lost."""
    rig = Rig(CLIENT, {"PBUTTONACTION": "2"}).boot()
    Operator(rig.windows).edit_document("Plan.docx")
    rig.press()
    assert rig.one("SleepRequested").data()["state"] == "S4"
    second = again(rig)
    assert second.windows.sessions.users() == ["User"]
    assert second.windows.sessions.unsaved() == ("WINWORD.EXE: Plan.docx",)
    assert second.events() == [107]
    assert not second.all("VolumeChecked")


def test_fast_startup_leaves_volumes_mounted() -> None:
    """With HiberbootEnabled the button's shutdown is S4: no clean volume, no users, and a short start."""
    rig = Rig(CLIENT, {"HiberbootEnabled": "1"}).boot().press()
    assert rig.one("SleepRequested").data()["state"] == "S4"
    assert state(rig).dirty == ("C:",)
    second = again(rig)
    assert second.one("HibernationEnded").data() == {"kind": "fast startup"}
    assert second.windows.sessions.users() == []


# --- properties -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seconds=st.floats(0, 40),
    pressed_s=st.none() | st.floats(0, 90),
    update=st.sampled_from(["none", "quick", "stuck"]),
    seed=st.integers(0, 3),
)
def test_a_kill_at_any_moment_leaves_a_disk_that_boots(
    seconds: float, pressed_s: float | None, update: str, seed: int
) -> None:
    """Whenever it is killed, the next boot reads the disk, tells the truth about the end, and comes up."""
    given = {"pending_update": update}
    rig = Rig(CLIENT, given, seed=str(seed)).boot(seconds)
    if pressed_s is not None:
        rig.press(pressed_s)
    mounted, lost = bool(rig.all("VolumeMounted")), bool(rig.all("PowerLost"))
    ended = bool(rig.all("SleepRequested"))
    rig.cut_power()
    second = again(rig, 2_000)
    assert second.windows.system.phase == "running"
    loaded = any(fact.data()["phase"] == "kernel start" for fact in rig.all("PhaseEntered"))
    assert (41 in second.events()) is (loaded and not ended)
    assert bool(second.all("VolumeChecked")) is (mounted and not ended)
    assert lost is False
    assert state(second).update in ("none", "staged")


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=80))
def test_a_disk_that_is_none_is_refused(data: bytes) -> None:
    """Anything but a whole state is refused with one sentence, and left as it was."""
    store = MemoryStore(data)
    with pytest.raises(GuestError, match="disk state"):
        Disk(store)
    assert store.load() == data


def test_another_format_is_refused() -> None:
    """A state of another format is not guessed at."""
    with pytest.raises(GuestError, match="has format 2, and this qmpemu reads 1"):
        decode(b'{"format": 2}')
