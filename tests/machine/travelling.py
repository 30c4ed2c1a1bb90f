"""Two machines of a test, and wires between them: virtual time, and a death at any moment.

Travellers(...)  source ──Wire──> destination      run() lets both live in steps, and looks after each step that the
                                                   guest runs at most once
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.machine.host import Host
from qmpemu.machine.migration.link import Link, Listener
from qmpemu.machine.runstate import RUNNING
from tests.driven import Driven

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address

LATENCY_NS = NS_PER_MS
STEP_NS = 5 * NS_PER_MS
LINE = "-machine q35 -name w"


class Lane(Host):
    """A host whose every address leads to the other one, if it listens."""

    def __init__(self) -> None:
        self.driven: Driven | None = None
        self.other: Lane | None = None
        self.accept: Callable[[Link], object] | None = None
        self.ends: list[Wire] = []
        self.dead = False
        self.said: list[str] = []
        self.two_way = True
        self.room: int | None = None
        """How many bytes may leave from here yet; what is beyond is on the way, until `lift`."""
        self.held: list[tuple[Wire, bytes | None]] = []

    def report(self, text: str) -> None:
        self.said.append(text)

    def at(self, delay_ns: int, call: Callable[[], object]) -> None:
        """Run `call` here, later, unless this one is dead then."""
        assert self.driven is not None
        driven = self.driven

        def turn() -> None:
            if not self.dead:
                driven.vm.facts.run(None, call)
                driven.vm.machine.settle()

        driven.clock.call_at(driven.clock.now_ns + delay_ns, turn)

    def connect(self, address: Address, machine: Machine, tell: Callable[[Link | str], object]) -> None:
        other = self.other
        if other is None or other.dead or other.accept is None:
            self.at(LATENCY_NS, lambda: tell("Failed to connect to 'w': Connection refused"))
            return
        mine, theirs = Wire(self), Wire(other)
        mine.peer, theirs.peer = theirs, mine
        accept = other.accept
        other.at(LATENCY_NS, lambda: accept(theirs))
        self.at(LATENCY_NS, lambda: tell(mine))

    def listen(self, address: Address, machine: Machine, accept: Callable[[Link], object]) -> Listener:
        self.accept = accept
        return Listener()

    def die(self) -> None:
        """As by SIGKILL; what is held on its way is lost."""
        self.dead = True
        held, self.held = self.held, []
        for end in {wire for wire, _ in held if not wire.open}:
            end.arrive(None)
        for end in self.ends:
            end.close()

    def lift(self) -> None:
        """What was held arrives, and so does everything from now on."""
        self.room = None
        held, self.held = self.held, []
        for wire, data in held:
            wire.arrive(data)

    def cut(self) -> None:
        """As when the network fails: both ends of each connection see its end, and nothing arrives any more."""
        for mine in self.ends:
            for end in (mine, mine.peer):
                end.lane.held.clear()
                end.arrive(None)
                end.cut = True


class Wire(Link):
    """One end of a connection."""

    peer: Wire

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self.lane = lane
        self.two_way = lane.two_way
        self.open = True
        self.cut = False
        lane.ends.append(self)

    def send(self, data: bytes) -> None:
        if not self.open or self.lane.dead:
            return
        lane, whole = self.lane, len(data)
        if lane.room is not None:
            data, late = data[: lane.room], data[lane.room :]
            lane.room -= len(data)
            lane.held += [(self, late)] if late else []
        if data:
            self.arrive(data)
        if len(data) == whole:
            lane.at(LATENCY_NS, lambda: self.open and self.on_drained())

    def arrive(self, data: bytes | None) -> None:
        """At the other end: bytes, or the end (None)."""
        peer = self.peer
        if self.cut:
            return
        if data is None:
            peer.lane.at(LATENCY_NS, lambda: peer.open and peer.on_end(""))
        else:
            peer.lane.at(LATENCY_NS, lambda: peer.open and peer.on_data(data))

    def close(self) -> None:
        if self.open:
            self.open = False
            if any(wire is self for wire, _ in self.lane.held):
                self.lane.held.append((self, None))
            else:
                self.arrive(None)


class Travellers:
    """A guest that has been up for a minute, and a machine that waits for it.

    memory: as in QMPEMU_MEMORY; line: more of the command line.
    """

    def __init__(
        self,
        *capabilities: str,
        memory: str = "used=64M,dirty=1M,link=256M",
        line: str = "",
        **environment: str,
    ) -> None:
        line = LINE + line
        self.allowed_twice = False
        self.lanes = (Lane(), Lane())
        self.source, self.destination = (
            self._machine(0, line, QMPEMU_GUEST="windows-10", QMPEMU_MEMORY=memory, **environment),
            self._machine(1, line + " -incoming defer", **environment),
        )
        self.lanes[0].other, self.lanes[1].other = self.lanes[1], self.lanes[0]
        self.source.run(60)
        self.destination.run(60)
        rows = [{"capability": name, "state": True} for name in ("events", *capabilities)]
        for each in (self.source, self.destination):
            each.say("migrate-set-capabilities", capabilities=rows)
        self.destination.say("migrate-incoming", uri="tcp:there:1")

    def _machine(self, number: int, line: str, **environment: str) -> Driven:
        lane = self.lanes[number]
        lane.driven = made = Driven(line, lane, **environment)
        return made

    def go(self) -> None:
        """Begin to migrate."""
        assert self.source.say("migrate", uri="tcp:there:1")[-1] == {"return": {}}

    def running(self) -> list[bool]:
        """Where the guest runs: at the source, at the destination."""
        return [
            not lane.dead
            and each.vm.exit_status is None
            and each.vm.machine.board.runstate == RUNNING
            and each.vm.machine.clock.running
            for each, lane in zip((self.source, self.destination), self.lanes, strict=True)
        ]

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False, step_ns: int = STEP_NS) -> None:
        """Let both live; the guest runs nowhere twice."""
        for _ in range(int(seconds * NS_PER_S / step_ns)):
            if until():
                return
            for each, lane in zip((self.source, self.destination), self.lanes, strict=True):
                if not lane.dead and each.vm.exit_status is None:
                    each.clock.run_until(each.clock.now_ns + step_ns)
            assert self.allowed_twice or self.running() != [True, True]

    def status(self, which: int = 0) -> object:
        """query-migrate's status."""
        reply = (self.source, self.destination)[which].say("query-migrate")[-1]["return"]
        return reply.get("status")
