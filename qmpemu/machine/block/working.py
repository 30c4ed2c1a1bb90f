"""What jobs do to those who come to their nodes: they are refused, or let the jobs pause (measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.filters import Chains
from qmpemu.machine.block.lost import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.block.pivots import Pivots

NODES = ("device", "target", "base-node", "top-node")
"""Arguments of jobs that name nodes."""

BEHIND = (
    "Permission conflict on node '{node}': permissions 'write' are both required by block device '{device}' (uses node "
    "'{node}' as 'root' child) and unshared by node '{filter}' (uses node '{node}' as '{child}' child)."
)


BUSY = "Node '{node}' is busy: block device is in use by block job: {kind}"


class Working:
    """The jobs of one machine. alive: by id; do: run a command of the real block layer and wait; drain: all pause."""

    def __init__(
        self,
        blocks: Blocks,
        pivots: Pivots,
        alive: Callable[[], Collection[str]],
        do: Callable[[str, dict[str, object]], object],
        drain: Callable[[], object],
    ) -> None:
        self._blocks, self._pivots, self._alive = blocks, pivots, alive
        self._do, self._drain = do, drain
        self._forgiven: set[str] = set()
        """Jobs whose errors are no more shown."""

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
        """Who comes to a node, or leaves it, lets its jobs pause; not told where others would, too."""
        alive = self._alive()
        concerned = {
            job for job, _, given in self._jobs() if node.name in [given.get(each) for each in NODES]
        }
        if concerned and concerned == set(alive):
            for _ in range(times):
                self._drain()

    def targets(self) -> list[Node]:
        """The nodes that copies go to."""
        names = [str(given["target"]) for _, command, given in self._jobs() if command == "blockdev-mirror"]
        return [self._blocks.nodes[name] for name in names if name in self._blocks.nodes]

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
        kind = self.kind(node)
        if kind is not None:
            self.pause(node, times=1)  # as it goes again
            raise Refused(BUSY.format(node=node.name, kind=kind))

    def filter(self, node: Node) -> str:
        """The node that a job has put over one."""
        graph: Any = self._do("x-debug-query-block-graph", {})
        return Chains([], graph).top(self._blocks, node.name)

    def _jobs(self) -> list[tuple[str, str, dict[str, object]]]:
        alive = self._alive()
        return [(job, *each) for job, each in self._pivots.jobs.items() if job in alive]
