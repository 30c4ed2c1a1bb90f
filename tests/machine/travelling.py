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
        """As by SIGKILL."""
        self.dead = True
        for end in self.ends:
            end.close()


class Wire(Link):
    """One end of a connection."""

    peer: Wire

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self.lane = lane
        self.two_way = lane.two_way
        self.open = True
        lane.ends.append(self)

    def send(self, data: bytes) -> None:
        if self.open and not self.lane.dead:
            self.peer.lane.at(LATENCY_NS, lambda: self.peer.open and self.peer.on_data(data))
            self.lane.at(LATENCY_NS, lambda: self.open and self.on_drained())

    def close(self) -> None:
        if self.open:
            self.open = False
            self.peer.lane.at(LATENCY_NS, lambda: self.peer.open and self.peer.on_end(""))


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
            assert self.running() != [True, True]

    def status(self, which: int = 0) -> object:
        """query-migrate's status."""
        reply = (self.source, self.destination)[which].say("query-migrate")[-1]["return"]
        return reply.get("status")
