"""The real part of the block layer: a back end that is started at first need and given the graph as it is.

absent ──first command──> replaying ──every node is there──> up
  ^                           └─a node cannot be opened──┐    │ dies: jobs end with an error
  └──────────────────────────────────────────────────────┴────┘
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block import inactive
from qmpemu.machine.block.astray import Astray
from qmpemu.machine.block.backend import GONE
from qmpemu.machine.block.ending import Ending
from qmpemu.machine.block.guards import GUARD, UNNAMED, concerned, refuse_copy, refuse_export, written
from qmpemu.machine.block.happened import FACTS
from qmpemu.machine.block.holders import OWN, Holders
from qmpemu.machine.block.lost import Lost
from qmpemu.machine.block.names import inward, made, made_here, outward, take_names
from qmpemu.machine.block.old_ciphers import refuse
from qmpemu.machine.block.opened import Opener, target
from qmpemu.machine.block.pivots import Pivots
from qmpemu.machine.block.remembered import QUERY, STREAM, Remembered
from qmpemu.machine.block.replaying import OBJECTS, steps
from qmpemu.machine.block.working import Working
from qmpemu.machine.host import NeedsOpening
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.facts import Bus
    from qmpemu.machine.block.backend import BlockBackend
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Drive, Node
    from qmpemu.machine.block.replaying import Step
    from qmpemu.machine.host import Host


class Store:
    """The back end and what waits for it. objects: the machine's user objects, asked for at each start."""

    def __init__(
        self, host: Host, blocks: Blocks, facts: Bus, objects: Callable[[], list[dict[str, object]]]
    ) -> None:
        self._host, self._blocks, self._facts, self._objects = host, blocks, facts, objects
        self._backend: BlockBackend | None = None
        self._waiting: list[tuple[str, dict[str, object], Callable[[object], object]]] | None = None
        self._jobs: dict[str, str] = {}
        self._serves = False
        """Whether an NBD server runs there."""
        self._ending: Ending | None = None
        self._astray = Astray(host, blocks, facts, self.do)
        self._opener = Opener(blocks, self._send)
        self.lost, self.pivots = Lost(facts), Pivots(blocks, self._opener.open)
        self.working = Working(blocks, self.pivots, lambda: self._jobs, self.do)
        self.holders = Holders(blocks, self._hold, self._let_go, self.do, self._send, self.working)
        self.holders.await_copies = lambda: self._wait(lambda: not self._unseen)
        self._unseen = 0  # copies that have opened nobody knows what yet
        self._ended: set[str] = set()
        """Exports that have ended, of those that hold drives."""
        self._remembered = Remembered(host)
        self.pivots.on_stream = self._remembered.completed

    @property
    def up(self) -> bool:
        """Whether a back end runs: from then on it tells what nodes are."""
        return self._backend is not None

    def ask(
        self, command: str, arguments: dict[str, object], shape: Callable[[object], object] | None = None
    ) -> Later:
        """Run a command there; the result, through `shape`, is finished later. Raises Refused."""
        later = Later()
        self._check(command, arguments)
        self._start()
        arguments = self._astray.given(command, arguments)
        job = str(arguments.get("job-id", arguments.get("device")))

        def done(outcome: object) -> None:
            if isinstance(outcome, QmpError):
                if command == STREAM:
                    self._remembered.end(job)
            else:
                self._serves = {"nbd-server-start": True, "nbd-server-stop": False}.get(command, self._serves)
                try:
                    self.pivots.done(command, arguments)
                    outcome = outcome if shape is None else shape(outcome)
                except Refused as refused:  # too late: the client is told, and the machine goes on
                    outcome = QmpError(str(refused))
            later.finish(outcome)

        if command == QUERY and self._remembered.needed:
            flat = arguments.get("flat") is True
            self._send("query-jobs", {}, lambda jobs: done(self._remembered.rows(jobs, flat=flat)))
            return later
        if command == STREAM:
            if not self._remembered.needed:
                self._send(QUERY, {}, self._remembered.keep)
            self._remembered.begin(job, arguments, self._blocks.anonymous())
        self.lost.begins(command, arguments)
        if job not in self._jobs:  # else it is refused
            self.pivots.begins(command, arguments)
        away = self._blocks.locks.away  # then no device keeps anybody off: storage is copied to it by NBD
        if self.works and not (away or self.pivots.works_on(arguments, self._jobs)):
            refuse_export(self._blocks, command, arguments)
        drives = None if away or not written(command, arguments) else self._guarded(command, arguments)
        if drives or (drives is not None and not self.works):
            self.holders.keep_others_off(drives, lambda: self._send(command, arguments, done))
        elif command == "drive-mirror" and not self._remembered.needed:
            self._copy(arguments, done)
        else:
            self._send(command, arguments, done)
        return later

    def _guarded(self, command: str, arguments: dict[str, object]) -> list[Drive]:
        """The drives that are to keep a command off their nodes. Raises QmpError."""
        self._wait_for_holders()
        if command == "transaction":
            refuse_copy(self._blocks, arguments)
        drives = concerned(self._blocks, command, arguments)
        if self.works:  # a guard would let jobs pause, and is no root
            drives = [each for each in drives if each.node and not self.working.involves(each.node)]
        return drives

    def _check(self, command: str, arguments: dict[str, object]) -> None:
        """What is known to be refused without a back end. Raises QmpError, Refused."""
        try:
            self.pivots.check(command, arguments)
            inactive.check(self._blocks, self._facts, command, arguments)
            refuse(self._host, self._blocks, command, arguments)
        except (QmpError, Refused):
            self._host.forget_block_backend()  # one has been prepared for it
            raise

    def open(self, options: dict[str, object], *, here: bool) -> Node:
        """Open a node, there where a back end runs or only that can. here: whether its images can be read here.

        Raises QmpError or Refused.
        """
        self._blocks.renamed |= made(options)
        refuse(self._host, self._blocks, "blockdev-add", options)
        if here and not self.up:
            try:
                return self._blocks.add_node(options)
            except NeedsOpening:
                pass
        outcome = self.do("blockdev-add", options)
        if isinstance(outcome, QmpError):
            raise outcome
        self._blocks.take_node(options)
        return self._blocks.nodes[str(options["node-name"])]

    def _copy(self, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        """Let drive-mirror begin, and see what it opens."""
        nodes: list[list[object]] = []
        self._unseen += 1

        def before(told: object) -> None:
            nodes.append(told if isinstance(told, list) else [])

        def begun(outcome: object) -> None:
            done(outcome)
            if isinstance(outcome, QmpError):
                self._unseen -= 1
            else:
                self._send("query-named-block-nodes", {"flat": True}, seen)

        def seen(outcome: object) -> None:
            self._unseen -= 1
            if isinstance(outcome, list):
                job = str(arguments.get("job-id", arguments["device"]))
                self.pivots.copies_to(job, target(self._blocks, arguments, nodes[0], outcome))

        self._send("query-named-block-nodes", {"flat": True}, before)
        self._send("drive-mirror", arguments, begun)

    def _wait(self, done: Callable[[], bool]) -> None:
        if self._backend is not None:
            self._backend.wait(done)

    def _hold(self, export: str, node: str, writable: bool, done: Callable[[object], object]) -> None:
        if self._backend is not None:
            self._backend.hold(export, str(inward(node, self._blocks)), writable, done)

    def _let_go(self, export: str) -> None:
        def gone(outcome: object) -> None:
            if isinstance(outcome, QmpError):  # it has never been
                self._ended.add(export)

        self._call("block-export-del", {"id": export}, gone)
        self._wait(lambda: export in self._ended)  # its node is free when this is told
        self._ended.discard(export)

    def drop(self, name: str) -> None:
        """A node that it has opened cannot be beside what is here: it goes again."""
        self._send("blockdev-del", {"node-name": name}, bool)

    def drop_unused(self) -> None:
        """Loose nodes that nothing is on any more go."""
        while unused := self._blocks.unused():
            for name in unused:
                self._send("blockdev-del", {"node-name": name}, bool)
                self._blocks.remove(name)

    def has_job(self, job: str) -> bool:
        """Whether a job of that id is known."""
        return job in self._jobs or job in self.lost.rows

    @property
    def works(self) -> bool:
        """Whether a job is there."""
        return bool(self._jobs)

    @property
    def busy(self) -> bool:
        """Whether jobs or exports would be lost with the back end."""
        return bool(self._jobs) or self._serves

    def _wait_for_holders(self) -> None:
        """Until drives are held. Raises QmpError where that fails."""
        if self._waiting is None and self.holders.settled:
            return
        outcome = self.do("query-jobs", {})
        if not isinstance(outcome, QmpError):
            self._wait(lambda: self.holders.settled)
        if self._backend is None:
            raise outcome if isinstance(outcome, QmpError) else QmpError(GONE)

    def do(self, command: str, arguments: dict[str, object]) -> object:
        """Run a command there and wait for it: the result, or a QmpError. Raises Refused where there is none."""
        if command == QUERY and self._remembered.needed:
            return self._remembered.rows(flat=arguments.get("flat") is True)
        outcome: list[object] = []
        self._start()
        assert self._backend is not None
        self._send(command, arguments, outcome.append)
        self._backend.wait(lambda: bool(outcome))
        return outcome[0]

    def drain(self) -> None:
        """Let every job pause and go on, which it tells: what QEMU does at each stop of the machine."""
        if self.works:
            self.do("transaction", {"actions": []})  # which drains first, and then has nothing to do

    def wake(self) -> None:
        """The guest is here: images that were only read because of others are opened anew for what comes next."""
        if self._blocks.locks.elsewhere:
            self._blocks.locks.elsewhere, self._serves = frozenset(), False
            self.close()

    def tell_of_object(self, kind: str, command: str, arguments: dict[str, object]) -> None:
        """A user object has come or gone that nodes and exports may name."""
        if self._backend is not None and kind in OBJECTS:
            self._send(command, arguments, bool)

    def close(self, *, killed: bool = False) -> None:
        """The machine is over. killed: as by a failed start, after which images are as they were opened."""
        backend, self._backend = self._backend, None
        if backend is not None:
            self._ending = Ending()
            (backend.kill if killed else backend.close)()
            self._ending = None
            self.holders.end()
            self._blocks.locks.take_back()

    def _send(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        if self._waiting is not None:
            self._waiting.append((command, arguments, done))
        else:
            self._call(command, arguments, done)

    def _call(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        if self._backend is None:
            return
        paths = {**self._blocks.temporary, **self._astray.paths}
        if not (self._blocks.renamed or self._blocks.aliases or paths):
            self._backend.call(command, arguments, lambda outcome: done(self._worded(command, outcome)))
            return
        given = {name: inward(value, self._blocks) for name, value in arguments.items()}

        def told(outcome: object) -> None:
            outcome = outward(outcome, self._blocks, paths)
            if command == QUERY and isinstance(outcome, list) and self._astray.paths:
                outcome = self._astray.named(outcome)
            done(self._worded(command, outcome))

        self._backend.call(command, given, told)

    def _worded(self, command: str, outcome: object) -> object:
        if isinstance(outcome, QmpError):
            outcome = QmpError(self.holders.named(outcome.desc), outcome.cls)
        if isinstance(outcome, QmpError) and (command not in UNNAMED or GUARD in outcome.desc):
            return QmpError(self.holders.worded(outcome.desc), outcome.cls)
        return outcome

    # --- its start ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open what could be looked at from outside only; without a back end the next command says what it needs."""
        try:
            self._start()
        except Refused as refused:
            self._host.report(str(refused))

    def _start(self) -> None:
        """Start a back end and replay the graph; what is asked meanwhile waits."""
        if self._backend is not None:
            return
        self._backend = self._host.start_block_backend(self._event, self._died)
        self._blocks.locks.give()
        self._waiting, self._unseen, self._blocks.aliases = [], 0, {}
        self._replay(steps(self._blocks, self._astray, self._objects()))

    def _replay(self, steps: list[Step]) -> None:
        """All at once, since they are run in their order; what has to wait is sent when the last has been done."""
        left = len(steps)

        def replayed(outcome: object) -> None:
            nonlocal left
            left -= 1
            if isinstance(outcome, QmpError):
                self._fail(outcome)
            elif not left:
                self._replayed()

        for command, arguments in steps:
            self._call(command, arguments, replayed)
        self.holders.begin()
        if not steps:
            self._replayed()

    def _replayed(self) -> None:
        """Every node is there; those that came with another have the names that were made there."""
        unnamed = [each for each in self._blocks.nodes.values() if each.name in made_here(self._blocks)]
        if unnamed:
            self._call(QUERY, {"flat": True}, lambda rows: self._go_on(unnamed, rows))
        else:
            self._go_on([], [])

    def _go_on(self, unnamed: list[Node], rows: object) -> None:
        if isinstance(rows, list):
            take_names(self._blocks, unnamed, rows)
        waiting, self._waiting = self._waiting or [], None
        for each in waiting:
            self._send(*each)

    def _fail(self, error: QmpError) -> None:
        """The graph cannot be opened there: whoever waits hears why, and the next command tries again."""
        self.close()
        waiting, self._waiting = self._waiting or [], None
        if inactive.shared(self._blocks, [command for command, _, _ in waiting], error.desc):
            self._start()
            self._waiting = waiting
            return
        for _, _, done in waiting:
            done(error)

    # --- what it tells --------------------------------------------------------------------------------------------

    def _event(self, name: str, data: dict[str, object]) -> None:
        for each in [(name, data)] if self._ending is None else self._ending.told(name, data):
            self._hear(*each)

    def _hear(self, name: str, data: dict[str, object]) -> None:
        if name == "JOB_STATUS_CHANGE":
            self._jobs[str(data["id"])] = str(data["status"])
            if data["status"] == "null":
                self._blocks.copies.pop(str(data["id"]), None)
                del self._jobs[str(data["id"])]
                self._remembered.end(str(data["id"]))
        if self.working.silent(name, data):
            return
        self.working.hear(name, data)
        self.lost.hear(name, data)
        if name == "BLOCK_JOB_COMPLETED":
            self.pivots.completed(str(data["device"]), failed="error" in data)
            self._opener.open_late()
            self.drop_unused()
        if name == "BLOCK_EXPORT_DELETED" and str(data["id"]).startswith(OWN):
            self._ended.add(str(data["id"]))
            return
        if name in FACTS:
            told = {key: outward(value, self._blocks) for key, value in data.items()}
            fact = self._facts.publish(FACTS[name](told=told))
            if data.get("status") == "created":
                self.lost.born[str(data["id"])] = fact.seq

    def _died(self) -> None:
        """The back end is gone. Its jobs end as if their images had failed; the graph is as it was."""
        self._backend = self._waiting = None
        self._serves = False
        self.holders.end()
        self._blocks.locks.take_back()
        self._remembered.clear()
        self._blocks.copies.clear()
        jobs, self._jobs = self._jobs, {}
        self.lost.died(jobs)
