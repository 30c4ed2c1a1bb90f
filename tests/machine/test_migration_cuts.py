"""machine.migration: a stream that stops after any number of bytes, and whoever dies, gives up or is cut off there.

One of the two always has the guest, with the document that was open; never do both let it run, but where the network
is cut just when the destination's last word is on its way (measured: the real one's run both, too).
"""

from __future__ import annotations

import pytest

from tests.machine.travelling import Travellers

WAYS = {
    "precopy": (),
    "as libvirt": ("return-path", "pause-before-switchover", "late-block-activate"),
    "postcopy": ("return-path", "postcopy-ram"),
}
STEP_S = 0.01
LONG_S = 3.0
MEMORY = "used=8M,dirty=1M,link=64M"


class Held:
    """A migration that stands where `room` bytes have left from one of the two (0: source, 1: destination)."""

    def __init__(self, way: str, which: int, room: int) -> None:
        self.way = way
        self.pair = pair = Travellers(*WAYS[way], memory=MEMORY)
        pair.source.say("__org.qmpemu_edit_document", value="A.docx")
        pair.lanes[which].room = room
        pair.go()
        self.live(lambda: bool(pair.lanes[which].held))
        self.over = not pair.lanes[which].held
        """All of it was shorter than that."""
        self.live(lambda: False, 0.05)

    def live(self, until: object = None, seconds: float = LONG_S) -> None:
        """Let time pass, with what a client of this way does."""
        for _ in range(int(seconds / STEP_S)):
            if callable(until) and until():
                return
            self.pair.run(STEP_S)
            if not self.pair.lanes[0].dead:
                self._pursue()

    def _pursue(self) -> None:
        here = self.pair.status()
        if self.way == "postcopy" and here == "active":
            self.pair.source.say("migrate-start-postcopy")
        if here == "pre-switchover":
            self.pair.source.say("migrate-continue", state="pre-switchover")

    def has(self, which: int) -> bool:
        """Whether the guest is there, running or to be let run, with its document."""
        machine = (self.pair.source, self.pair.destination)[which]
        if self.pair.lanes[which].dead or machine.vm.exit_status is not None:
            return False
        if machine.vm.machine.board.runstate == "postmigrate":
            machine.say("cont")
        return self.pair.running()[which] and machine.say("__org.qmpemu_save_document", value="A.docx")[
            -1
        ] == {"return": {}}

    @property
    def in_postcopy(self) -> bool:
        """Whether the guest was handed over, and its memory not yet."""
        return self.pair.status() in ("postcopy-active", "postcopy-paused")


def lengths(way: str, which: int) -> int:
    """How many bytes leave from there in the whole of a migration."""
    held = Held(way, which, 1 << 40)
    room = held.pair.lanes[which].room
    assert room is not None
    return (1 << 40) - room


def moments(way: str, which: int) -> list[int]:
    """Where to stop a stream: at every byte of the little that comes back, at many of what goes."""
    whole = lengths(way, which)
    return list(range(whole)) if which else [*range(0, whole, 17), *range(whole - 40, whole)]


BOTH = pytest.mark.parametrize("which", [0, 1])
EACH_WAY = pytest.mark.parametrize("way", WAYS)


@EACH_WAY
@BOTH
def test_a_destination_that_dies_there_leaves_the_guest_at_the_source(way: str, which: int) -> None:
    """It runs on, or, given up already, runs again by cont; in postcopy it is lost with its destination."""
    for room in moments(way, which):
        held = Held(way, which, room)
        had = held.in_postcopy
        held.pair.lanes[1].die()
        held.pair.lanes[0].lift()
        held.live()
        assert held.pair.running() != [True, True]
        if held.pair.status() == "postcopy-paused":
            assert had, room
        else:
            assert held.has(0), (room, held.pair.status())


@EACH_WAY
@BOTH
def test_a_source_that_dies_there_had_the_guest_or_the_destination_goes_on(way: str, which: int) -> None:
    """Given up by the source, it is at the destination; not given up, it is there whole or not at all."""
    for room in moments(way, which):
        held = Held(way, which, room)
        gave = held.pair.status() == "completed"
        held.pair.lanes[0].die()
        held.pair.lanes[1].lift()
        held.live()
        there = held.pair.status(1)
        if held.pair.destination.vm.exit_status is not None:
            assert not gave, room
            assert held.pair.lanes[1].said[-1].startswith("load of migration failed: "), room
        elif there is not None and there != "postcopy-paused":
            assert held.has(1), (room, there)
        else:
            assert not gave, room


@EACH_WAY
@BOTH
def test_cancelled_there_the_guest_runs_at_one_of_the_two(way: str, which: int) -> None:
    """At the source; at the destination if it had been handed over, as postcopy does before it is over."""
    for room in moments(way, which):
        held = Held(way, which, room)
        held.pair.source.say("migrate_cancel")
        held.live()
        assert held.pair.running() != [True, True]
        for lane in held.pair.lanes:
            lane.lift()
        held.live()
        here, there = held.pair.status(), held.pair.status(1)
        if here == "cancelled" and held.pair.source.vm.machine.board.runstate == "postmigrate":
            assert held.pair.running()[0] is False, room
            assert held.has(1) or there == "postcopy-paused", (room, there)
        elif here == "cancelled":
            assert held.pair.running() == [True, False], room
            assert held.has(0), room
            assert held.pair.destination.vm.exit_status in (1, None), room
        else:
            assert here in ("completed", "cancelling"), (room, here)
            assert held.pair.running()[0] is False, room
            assert held.has(1) or (here, there) == ("cancelling", "postcopy-paused"), (room, there)


@EACH_WAY
@BOTH
def test_a_network_that_fails_there_loses_nothing(way: str, which: int) -> None:
    """Both live: the guest is at one of them, and an interrupted postcopy goes on over another connection."""
    for room in moments(way, which):
        held = Held(way, which, room)
        pair = held.pair
        pair.lanes[0].cut()
        pair.lanes[which].room = None
        pair.allowed_twice = True
        held.live()
        states = (pair.status(), pair.status(1))
        if states == ("postcopy-paused", "postcopy-paused"):
            assert pair.running() == [False, False]
            assert pair.destination.say("migrate-recover", uri="tcp:there:2")[-1] == {"return": {}}
            assert pair.source.say("migrate", uri="tcp:there:2", resume=True)[-1] == {"return": {}}
            held.live()
            assert (pair.status(), pair.status(1)) == ("completed", "completed"), room
            assert pair.running() == [False, True]
        twice = pair.running() == [True, True]
        assert not twice or (which == 1 and states == ("failed", "completed")), (room, states)
        assert held.has(1) or held.has(0), (room, states)
