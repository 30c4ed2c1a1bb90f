"""guests.agent and guests.windows.vss: holding writes for a snapshot."""

from __future__ import annotations

from qmpemu.guests.windows import operator
from tests.guests.rig import CLIENT, CLOUD_SERVER, Rig

FROZEN = "Command {} has been disabled: the agent is in frozen state"
TOO_LATE = "couldn't hold writes: fsfreeze is limited up to 10 seconds: "


def rig_(**settings: str) -> Rig:
    """A running guest with an agent."""
    return Rig(CLOUD_SERVER, settings).boot()


def test_freeze_and_thaw() -> None:
    """Both volumes are held and released; the status says which; the counts are those of volumes."""
    rig = rig_()
    assert rig.ask_agent("guest-fsfreeze-status") == "thawed"
    assert rig.ask_agent("guest-fsfreeze-thaw") == 0
    assert rig.ask_agent("guest-fsfreeze-freeze") == 2
    assert rig.ask_agent("guest-fsfreeze-status") == "frozen"
    assert rig.ask_agent("guest-fsfreeze-thaw") == 2
    assert rig.ask_agent("guest-fsfreeze-status") == "thawed"
    assert rig.one("WritesReleased").data() == {"why": "thaw"}


def test_the_freeze_takes_time() -> None:
    """Writers prepare and buffers are written before the answer comes; other requests wait behind it."""
    rig = rig_(vss_freeze_ms="2000")
    ping = b'{"execute": "guest-ping"}'
    assert rig.send(b'{"execute": "guest-fsfreeze-freeze"}' + ping, 2) == b""
    assert rig.send(b"", 1) == b'{"return": 2}\n{"return": {}}\n'


def test_named_volumes() -> None:
    """guest-fsfreeze-freeze-list holds those that are named, in any spelling; an unknown one freezes nothing."""
    rig = rig_()
    assert rig.ask_agent("guest-fsfreeze-freeze-list", mountpoints=["c:\\"]) == 1
    assert rig.ask_agent("guest-fsfreeze-thaw") == 1
    assert rig.ask_agent("guest-fsfreeze-freeze-list", mountpoints=["X:\\"]) == [
        "failed to add X:\\ to snapshot set: "
    ]
    assert rig.ask_agent("guest-fsfreeze-status") == "thawed"
    assert rig.ask_agent("guest-fsfreeze-freeze-list", mountpoints=[]) == 0
    assert rig.all("WritesHeld")[1:] == []


def test_what_a_frozen_agent_does() -> None:
    """Six commands are obeyed; all others are refused, and guest-info shows them as disabled."""
    rig = rig_()
    rig.ask_agent("guest-fsfreeze-freeze")
    for name in ("guest-get-time", "guest-exec", "guest-shutdown", "guest-fsfreeze-freeze"):
        assert rig.ask_agent(name, 0.01) == [FROZEN.format(name)]
    listed = {row["name"]: row["enabled"] for row in rig.ask_agent("guest-info", 0.01)["supported_commands"]}
    assert {name for name, enabled in listed.items() if enabled} == {
        "guest-ping",
        "guest-info",
        "guest-sync",
        "guest-sync-delimited",
        "guest-fsfreeze-status",
        "guest-fsfreeze-thaw",
    }
    assert rig.ask_agent("guest-fsfreeze-thaw", 0.01) == 2
    assert isinstance(rig.ask_agent("guest-get-time"), int)


def test_writes_are_held_for_ten_seconds_only() -> None:
    """After 10 s Windows lets writes go on by itself: the agent still says frozen, and thaw that it came too late."""
    rig = rig_()
    rig.ask_agent("guest-fsfreeze-freeze", 12)
    assert rig.one("WritesReleased").data() == {"why": "held for 10 s"}
    record = rig.windows.log.records[-1]
    assert (record.id, record.source) == (8, "volsnap")
    assert rig.ask_agent("guest-fsfreeze-status") == "frozen"
    assert rig.ask_agent("guest-fsfreeze-thaw") == [TOO_LATE]
    assert rig.ask_agent("guest-fsfreeze-status") == "thawed"
    assert rig.ask_agent("guest-fsfreeze-thaw") == 0


def test_a_shutdown_waits_for_its_writes() -> None:
    """A press of the button while writes are held leads to the end, after they are released."""
    rig, free = rig_(), rig_()
    rig.ask_agent("guest-fsfreeze-freeze", 2)
    free.run(2)
    took = []
    for each in (rig, free):
        before = each.host.now_ns
        each.press(60)
        assert each.board.exit_status == 0
        took.append((each.one("MachineShutDown").at_ns - before) / 1e9)
    assert 8 < took[0] - took[1] < 10
    assert rig.all("PowerLost") == []


def test_an_agent_that_ends_releases_what_it_held() -> None:
    """With the agent's process its snapshot is over; the new process is not frozen."""
    rig = rig_()
    rig.ask_agent("guest-fsfreeze-freeze")
    assert rig.windows.services.stop_one("QEMU-GA") == 0
    assert rig.one("WritesReleased").data() == {"why": "thaw"}
    assert rig.windows.services.start_one("QEMU-GA") == 0
    assert rig.ask_agent("guest-fsfreeze-status") == "thawed"


def test_a_power_cut_while_frozen() -> None:
    """What was held is on the disk: the next boot finds a volume in use, and no file is torn."""
    rig = rig_()
    rig.ask_agent("guest-fsfreeze-freeze")
    rig.cut_power()
    again = Rig(CLOUD_SERVER, store=rig.store).boot()
    assert 41 in again.events()
    assert again.ask_agent("guest-fsfreeze-status") == "thawed"


def test_a_document_is_saved_when_writes_go_on() -> None:
    """Somebody saves while writes are held: it is in its file only after the thaw, and a cut before loses it."""
    rigs = [Rig(CLIENT, {"QEMU-GA": "running"}).boot() for _ in range(2)]
    for rig in rigs:
        console = operator.of(rig.windows)
        console.do("edit_document", "Plan.docx")
        rig.ask_agent("guest-fsfreeze-freeze", 2)
        console.do("save_document", "Plan.docx")
        assert rig.windows.sessions.unsaved() == ("WINWORD.EXE: Plan.docx",)
    thawed, cut = rigs
    thawed.ask_agent("guest-fsfreeze-thaw")
    assert thawed.windows.sessions.unsaved() == ()
    cut.cut_power()
    assert cut.one("PowerLost").data()["documents"] == ("WINWORD.EXE: Plan.docx",)


def test_sleep_waits_for_its_writes() -> None:
    """Nor does Windows fall asleep over a snapshot: its buffers are written after the release."""
    rig = Rig(CLIENT, {"QEMU-GA": "running"}).boot()
    rig.ask_agent("guest-fsfreeze-freeze", 2)
    operator.of(rig.windows).do("sleep")
    rig.run(5)
    assert rig.board.runstate == "running"
    rig.run(10)
    assert rig.board.runstate == "suspended"


def test_an_agent_that_ends_before_its_freeze_is_done() -> None:
    """Nobody is left to thaw: nothing is held."""
    rig = rig_(vss_freeze_ms="3000")
    rig.send(b'{"execute": "guest-fsfreeze-freeze"}', 1)
    assert rig.windows.services.stop_one("QEMU-GA") == 0
    rig.run(10)
    assert rig.all("WritesHeld") == [] and not rig.windows.system.writes.are_held
