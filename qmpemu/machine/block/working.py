"""What jobs do to those who come to their nodes: they are refused, or let the jobs pause (measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.filters import Chains
from qmpemu.machine.block.lost import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.block.pivots import Pivots

BEHIND = (
    "Permission conflict on node '{node}': permissions 'write' are both required by block device '{device}' (uses node "
    "'{node}' as 'root' child) and unshared by node '{filter}' (uses node '{node}' as '{child}' child)."
)


NODES = ("device", "target")
"""Arguments of jobs that name nodes; the others are below these."""
CHAINS = ("block-commit", "block-stream")
BLOCKS = "logical-block-size"
PASSER = {"type": "vhost-user-blk", "id": "qmpemu.passer", "addr": {"type": "unix", "path": "-"}, BLOCKS: 1}
"""An export that comes to a node and goes at once."""

BUSY = "Node '{node}' is busy: block device is in use by block job: {kind}"


class Working:
    """The jobs of one machine. alive: their status by id; do: run a command of the real block layer and wait."""

    def __init__(
        self,
        blocks: Blocks,
        pivots: Pivots,
        alive: Callable[[], Mapping[str, str]],
        do: Callable[[str, dict[str, object]], object],
    ) -> None:
        self._blocks, self._pivots, self._alive = blocks, pivots, alive
        self._do = do
        self._forgiven: set[str] = set()
        """Jobs whose errors are no more shown."""
        self._limit: int | None = None
        """How often jobs may pause now, and how often they have."""
        self._paused: dict[str, int] = {}
        self._silent: set[str] = set()
        """Jobs that have paused once more."""

    def forgive(self) -> None:
        """The machine goes on: nothing is shown any more of what jobs have met."""
        self._forgiven = set(self._alive())

    def hear(self, name: str, data: dict[str, object]) -> None:
        """The real block layer has told an event."""
        if name == "BLOCK_JOB_ERROR":
            self._forgiven.discard(str(data["device"]))

    def shown(self, rows: Any) -> object:
        """Rows of query-block-jobs."""
        return [{**row, "io-status": "ok"} if row["device"] in self._forgiven else row for row in rows]

    def kind(self, node: Node) -> str | None:
        """What the latest job of a node does."""
        found = [command for _, command, given in self._jobs() if given.get("device") == node.name]
        return KINDS.get(found[-1]) if found else None

    def pause(self, node: Node, *, times: int) -> None:
        """Who comes to a node, or leaves it, lets its jobs pause, once or twice.

        An export does both there, and lets them pause twice. It is on the file, whose jobs are those of what is over
        it: nobody else may read the target of a copy. It is refused for its blocks' size, and so never is.
        """
        if not self._alive():
            return
        self._limit, self._paused = times, {}
        node = self._source(node)
        for each in (node.file, node):
            if each is None:
                continue
            outcome = self._do("block-export-add", {**PASSER, "node-name": each.name})
            if BLOCKS in str(outcome):
                break
        self._limit = None

    def _source(self, node: Node) -> Node:
        """Of the target of a copy, which does not lead to its job, what is copied."""
        for job, command, given in self._jobs():
            target = self._blocks.nodes.get(str(given.get("target")))
            copied = command == "blockdev-mirror" and target is not None and node in target.chain()
            if copied or self._blocks.copies.get(job) is node:
                return self._blocks.nodes.get(str(given.get("device")), node)
        return node

    def silent(self, name: str, data: dict[str, object]) -> bool:
        """Whether an event is not told: more pauses than there would be."""
        job, status = str(data.get("id")), data.get("status")
        if name != "JOB_STATUS_CHANGE" or (self._limit is None and job not in self._silent):
            return False
        if self._limit is not None and status in ("paused", "standby"):
            self._paused[job] = self._paused.get(job, 0) + 1
            if self._paused[job] > self._limit:
                self._silent.add(job)
                return True
            return False
        found = job in self._silent
        self._silent.discard(job)  # it has gone on
        return found

    def involves(self, node: Node) -> bool:
        """Whether a job that is not over has to do with a node, or with what is below it."""
        alive, chain, nodes = self._alive(), node.chain(), self._blocks.nodes
        return any(
            name in nodes and not chain.isdisjoint(nodes[name].chain())
            for job, _, given in self._jobs()
            if alive[job] != "concluded"
            for name in (str(given.get(each)) for each in NODES)
        )

    def targets(self) -> list[Node]:
        """The nodes that copies go to."""
        nodes, found = self._blocks.nodes, []
        for job, command, given in self._jobs():
            copy = self._blocks.copies.get(job)
            if command == "blockdev-mirror":
                copy = nodes.get(str(given["target"]))
            if copy is not None:
                found.append(copy)
        return found

    def refuse_writer(self, node: Node, qdev: str) -> Refused:
        """Why a device cannot write beside a drive whose job is between them."""
        child = "backing" if self.kind(node) in ("mirror", "commit") else "file"
        return Refused(BEHIND.format(node=node.name, device=qdev, filter=self.filter(node), child=child))

    def check_leaving(self, node: Node | None) -> None:
        """Whether a drive may give a node away. Raises Refused."""
        kind = None if node is None else self.kind(node)
        if node is not None and kind is not None:
            raise Refused(BUSY.format(node=self.filter(node), kind=kind))

    def check_rests(self, node: Node) -> None:
        """Whether no job works on a node, which virtio-scsi asks of its disks. Raises Refused."""
        found = [command for _, command, given in self._jobs() if node.name in self._used(command, given)]
        if found:
            kind = KINDS[found[-1]]
            self.pause(node, times=1)  # as it goes again
            raise Refused(BUSY.format(node=node.name, kind=kind))

    def _used(self, command: str, given: dict[str, object]) -> list[str]:
        """The nodes that a job keeps others off: its disk, what is below that to the base, the target of a backup."""
        node, base = self._blocks.nodes.get(str(given.get("device"))), given.get("base-node")
        names = [str(given["target"])] if command == "blockdev-backup" else []
        while node is not None:
            names.append(node.name)
            below = command in CHAINS and node.name != base
            node = node.backing if below else None
        return names

    def filter(self, node: Node) -> str:
        """The node that a job has put over one."""
        graph: Any = self._do("x-debug-query-block-graph", {})
        return Chains([], graph).top(self._blocks, node.name)

    def _jobs(self) -> list[tuple[str, str, dict[str, object]]]:
        alive = self._alive()
        return [(job, *each) for job, each in self._pivots.jobs.items() if job in alive]
