"""What a guest's accesses add up to: the statistics of drives, how far nodes were written, and thresholds.

No data moves. Accesses of the guest go to its first disk, reads and writes in requests of at most 64 KiB, writes one
behind the other. The counts are the drive's: they outlive a reset, and a guest that arrives brings none.
"""

from __future__ import annotations

from qmpemu.machine.block.happened import WriteThresholdExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.nodes import Drive, Node
    from qmpemu.machine.machine import Machine

REQUEST_BYTES = 64 << 10
REQUEST_NS = 80_000
"""How long a request takes, beside a nanosecond for each byte."""
READ, WRITE, FLUSH = "read", "write", "flush"


class Counts:
    """What was done to one drive, by QEMU's names: operations, bytes, and nanoseconds spent."""

    __slots__ = ("bytes", "failed", "last_ns", "operations", "spent_ns", "written")

    def __init__(self) -> None:
        self.operations = dict.fromkeys((READ, WRITE, FLUSH), 0)
        self.bytes = dict.fromkeys((READ, WRITE, FLUSH), 0)
        self.spent_ns = dict.fromkeys((READ, WRITE, FLUSH), 0)
        self.failed = dict.fromkeys((READ, WRITE, FLUSH), 0)
        self.last_ns: int | None = None
        """When the last access was, by the host's clock."""
        self.written = 0
        """Where the next write begins."""

    def shown(self, now_ns: int) -> dict[str, object]:
        """The members that differ from those of an untouched drive."""
        if self.last_ns is None:
            return {}
        found: dict[str, object] = {"idle_time_ns": now_ns - self.last_ns}
        for kind, short in ((READ, "rd"), (WRITE, "wr"), (FLUSH, "flush")):
            found[f"{short}_operations"] = self.operations[kind]
            found[f"{short}_total_time_ns"] = self.spent_ns[kind]
            found[f"failed_{short}_operations"] = self.failed[kind]
            if kind != FLUSH:
                found[f"{short}_bytes"] = self.bytes[kind]
        return found


class Accounting:
    """The counts of a machine's drives."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def access(self, kind: str, count_bytes: int) -> None:
        """The guest reads or writes so many bytes of its disk, or flushes it."""
        drives = self._machine.blocks.drives
        drive = next((each for each in drives if each.driver and not each.removable), None)
        if drive is None or drive.node is None or self._machine.history.replaying:
            return
        counts = drive.counts
        requests = max(1, -(-count_bytes // REQUEST_BYTES))
        counts.operations[kind] += requests
        counts.bytes[kind] += count_bytes
        counts.spent_ns[kind] += requests * REQUEST_NS + count_bytes
        counts.last_ns = self._machine.host_ns()
        if kind == WRITE:
            self._write(drive, drive.node, count_bytes)

    def failed(self, drive: Drive, kind: str) -> None:
        """An access of the guest's failed."""
        drive.counts.failed[kind] += 1
        drive.counts.last_ns = self._machine.host_ns()

    def watch(self, node: Node, limit: int) -> None:
        """Tell once when the guest writes beyond `limit`, 0 never; the real block layer shows it too."""
        node.write_threshold = limit
        store = self._machine.store
        if store.up:
            store.ask("block-set-write-threshold", {"node-name": node.name, "write-threshold": limit})

    def _write(self, drive: Drive, node: Node, count_bytes: int) -> None:
        first = drive.counts.written
        if first + count_bytes > node.image.virtual_bytes:
            first = 0
        drive.counts.written = end = min(first + count_bytes, node.image.virtual_bytes)
        self._written(node, first, end)
        below = node.file
        while below is not None:
            if node.driver != "raw":  # a format puts new clusters behind those that are there
                grown = below.image.file_bytes + end
                first, end = max(below.highest, grown - count_bytes), max(below.highest, grown)
            self._written(below, first, end)
            node, below = below, below.file

    def _written(self, node: Node, first: int, end: int) -> None:
        node.highest = max(node.highest, end)
        limit = node.write_threshold
        if not limit or end <= limit:
            return
        requests = max(0, limit - first) // REQUEST_BYTES + 1
        reached = min(end, first + requests * REQUEST_BYTES)
        self.watch(node, 0)
        told: dict[str, object] = {
            "node-name": node.name,
            "amount-exceeded": reached - limit,
            "write-threshold": limit,
        }
        self._machine.facts.publish(WriteThresholdExceeded(told=told))
