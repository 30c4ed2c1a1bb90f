"""machine.migration: two ends in virtual time; whoever dies, and whenever, the guest runs at most once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.machine.travelling import Travellers

WAYS = {
    "precopy": (),
    "return path": ("return-path",),
    "as libvirt": ("return-path", "pause-before-switchover", "late-block-activate"),
    "postcopy": ("return-path", "postcopy-ram"),
    "postcopy as libvirt": ("return-path", "postcopy-ram", "pause-before-switchover"),
}
OVER_S = 1.5
"""By then every migration of these tests has ended, had nobody died: 64 MiB at 256 MiB/s, and some delays."""


def pursue(pair: Travellers, capabilities: tuple[str, ...]) -> None:
    """What the client of a migration does meanwhile."""
    if "postcopy-ram" in capabilities and pair.status() == "active":
        pair.source.say("migrate-start-postcopy")
    if pair.status() == "pre-switchover":
        pair.source.say("migrate-continue", state="pre-switchover")


def run(pair: Travellers, capabilities: tuple[str, ...], seconds: float) -> None:
    """Let both live, with the client's part."""
    for _ in range(int(seconds / 0.05)):
        pair.run(0.05)
        if not pair.lanes[0].dead:
            pursue(pair, capabilities)


def can_still_save(pair: Travellers, which: int) -> bool:
    """Whether the guest is there with the document that was open."""
    machine = (pair.source, pair.destination)[which]
    return machine.say("__org.qmpemu_save_document", value="A.docx")[-1] == {"return": {}}


def begun(capabilities: tuple[str, ...]) -> Travellers:
    """A migration that has just begun, of a guest with an open document."""
    pair = Travellers(*capabilities)
    pair.source.say("__org.qmpemu_edit_document", value="A.docx")
    pair.go()
    return pair


@pytest.mark.parametrize("way", WAYS)
def test_the_guest_goes_from_one_to_the_other(way: str) -> None:
    """It runs there, is the same, and here it does not run any more."""
    pair = begun(WAYS[way])
    run(pair, WAYS[way], OVER_S)
    assert (pair.status(), pair.status(1)) == ("completed", "completed")
    assert pair.running() == [False, True]
    assert can_still_save(pair, 1)
    assert pair.source.say("query-status")[-1]["return"]["status"] == "postmigrate"


def test_a_guest_that_sleeps_is_woken_by_it() -> None:
    """As the real one does: it arrives awake, with the document that was open."""
    pair = Travellers(*WAYS["as libvirt"])
    pair.source.say("__org.qmpemu_edit_document", value="A.docx")
    pair.source.say("__org.qmpemu_sleep")
    pair.run(30)
    assert pair.source.say("query-status")[-1]["return"]["status"] == "suspended"
    pair.go()
    run(pair, WAYS["as libvirt"], OVER_S)
    assert (pair.status(), pair.status(1)) == ("completed", "completed")
    assert pair.running() == [False, True]
    pair.run(10)
    assert can_still_save(pair, 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment_ms", range(0, 700, 35))
def test_a_destination_that_dies_takes_the_guest_along_only_if_it_had_it(way: str, moment_ms: int) -> None:
    """Killed before it has all of the guest, the guest goes on at the source; never is it given up into nothing."""
    pair = begun(WAYS[way])
    run_ms(pair, WAYS[way], moment_ms)
    had_it = pair.status(1) in ("completed", "postcopy-active")
    gave_it = pair.status() == "postcopy-active"
    pair.lanes[1].die()
    run(pair, WAYS[way], OVER_S)
    if had_it:
        assert pair.running()[0] is False or pair.status() == "failed"
    elif not gave_it:
        assert pair.status() in ("failed", "pre-switchover")
        assert pair.running() == [True, False]
        assert can_still_save(pair, 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment_ms", range(0, 700, 35))
def test_a_source_that_dies_leaves_the_guest_to_a_destination_that_has_all_of_it(
    way: str, moment_ms: int
) -> None:
    """Before, the destination ends and says why; after, it goes on as if nothing had happened."""
    pair = begun(WAYS[way])
    run_ms(pair, WAYS[way], moment_ms)
    pair.lanes[0].die()
    before, there = pair.status(1), pair.running()[1:]
    run(pair, WAYS[way], OVER_S)
    if pair.destination.vm.exit_status is not None:
        assert before in (None, "active", "postcopy-active")
        assert there == [False], "it had not been told to run"
        assert pair.lanes[1].said[-1].startswith("load of migration failed: ")
    elif pair.status(1) == "completed":
        assert pair.running() == [False, True]
        assert can_still_save(pair, 1)
    elif pair.status(1) == "postcopy-paused":
        assert before == "postcopy-active"
        assert pair.running() == [False, False]
    else:
        assert pair.status(1) is None, "nobody ever came: it still waits"


def run_ms(pair: Travellers, capabilities: tuple[str, ...], moment_ms: int) -> None:
    """Live for that long, with the client's part."""
    for _ in range(moment_ms // 35):
        pair.run(0.035)
        pursue(pair, capabilities)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment_ms", range(0, 560, 35))
def test_cancelled_at_any_moment_the_guest_stays_unless_it_is_gone(way: str, moment_ms: int) -> None:
    """migrate_cancel: the guest runs at the source, unless the migration had ended or it is in postcopy."""
    pair = begun(WAYS[way])
    run_ms(pair, WAYS[way], moment_ms)
    before = pair.status()
    pair.source.say("migrate_cancel")
    run(pair, WAYS[way], OVER_S)
    if before == "completed":
        assert pair.running() == [False, True]
    elif before == "postcopy-active":
        assert True in pair.running() or pair.status(1) == "postcopy-paused"
    else:
        assert pair.status() == "cancelled"
        assert pair.running() == [True, False]
        assert can_still_save(pair, 0)
        assert pair.destination.vm.exit_status == 1 or moment_ms == 0


@pytest.mark.parametrize("way", ["precopy", "return path"])
@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("after_us", range(0, 6_000, 250))
def test_whoever_dies_while_the_guest_changes_hands_one_has_it(way: str, who: int, after_us: int) -> None:
    """In steps of a quarter of the wire's latency: the one that is left has the guest, unless the dead one ran it."""
    pair = begun(WAYS[way])
    board = pair.source.vm.machine.board
    pair.run(2, lambda: board.runstate == "finish-migrate", step_ns=250_000)
    pair.run(after_us / 1e6, step_ns=250_000)
    here, there = pair.status(), pair.status(1)
    pair.lanes[who].die()
    pair.run(2)
    if who == 1 and there != "completed":
        if pair.status() == "completed":  # given up already, and not yet running there
            assert pair.source.say("cont")[-1] == {"return": {}}
        assert pair.running() == [True, False]
        assert can_still_save(pair, 0)
    if who == 0 and here == "completed":
        assert pair.running() == [False, True]
    if who == 0 and pair.destination.vm.exit_status is None:
        assert can_still_save(pair, 1)


def test_a_destination_that_says_nothing_gets_the_guest_after_a_while() -> None:
    """Whoever only collects bytes at the end of a socket (a test, a relay) does not keep the source waiting."""
    pair = Travellers()
    pair.lanes[1].accept = lambda link: None
    pair.go()
    pair.run(1)
    assert pair.status() == "active"
    pair.run(2)
    assert pair.status() == "completed"


def test_a_port_of_the_guest_is_told_of_once_it_runs_there() -> None:
    """RESUME, then VSERPORT_CHANGE of every port, closed ones too (measured); neither at the next cont."""
    ports = (
        " -device virtio-serial-pci -chardev null,id=c -device virtserialport,chardev=c,id=agent,name=org.x"
    )
    pair = Travellers("return-path", line=ports + " -S")
    pair.source.say("cont")
    pair.go()
    pair.run(2)
    assert pair.status() == "completed"
    pair.destination.heard()
    told = pair.destination.say("cont")
    assert [each.get("event") for each in told] == ["RESUME", "VSERPORT_CHANGE", None]
    assert told[1]["data"] == {"open": False, "id": "agent"}
    pair.destination.say("stop")
    assert len(pair.destination.say("cont")) == 2


def test_postcopy_that_waits_before_the_switch_over_stops_the_guest_first() -> None:
    """STOP, pre-switchover, then postcopy-active once the client says so (order measured)."""
    pair = Travellers("return-path", "postcopy-ram", "pause-before-switchover", memory="used=200M,link=50M")
    pair.go()
    pair.run(0.3)
    pair.source.heard()
    pair.source.say("migrate-start-postcopy")
    pair.run(0.3)
    assert statuses(pair.source.heard()) == ["STOP", "pre-switchover"]
    assert pair.running() == [False, False]
    pair.source.say("migrate-continue", state="pre-switchover")
    pair.run(0.3)
    assert statuses(pair.source.heard()) == ["postcopy-active", "MIGRATION_PASS"]
    assert pair.running() == [False, True]
    pair.run(5)
    assert statuses(pair.source.heard()) == ["completed"]


def statuses(messages: list[dict[str, Any]]) -> list[str]:
    """Events, those named MIGRATION by their status."""
    return [each["data"]["status"] if each["event"] == "MIGRATION" else each["event"] for each in messages]
