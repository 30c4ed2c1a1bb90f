"""How snapshots and jobs move drives and backing files: the graph's share of what the real block layer does.

snapshot(node, overlay)       drives on node ──> overlay         overlay.backing = node
commit of the active layer    drives on top  ──> base            when it was completed, not cancelled
commit of a middle layer                                         above(top).backing = base
stream                                                           device.backing = base
mirror                        drives on source ──> target        when it was completed, not cancelled
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.block.graph import Blocks

KINDS = {
    "block-commit": "commit",
    "block-stream": "stream",
    "blockdev-mirror": "mirror",
    "blockdev-backup": "backup",
    "blockdev-create": "create",
}
COMPLETES = ("job-complete", "block-job-complete")


class Pivots:
    """Jobs by id, with the command that started them, until they are over."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._jobs: dict[str, tuple[str, dict[str, object]]] = {}
        self._completing: set[str] = set()
        self.gone: list[dict[str, object]] = []
        """Nodes that the real block layer has made and let go of: it is to have them again."""
        self.on_stream: Callable[[str, str | None], object] | None = None
        """Called with device and base of a stream that has ended well."""

    def kind(self, job: str) -> str:
        """The job's type as in query-jobs."""
        command, _ = self._jobs.get(job, ("", {}))
        return KINDS.get(command, "commit")

    def done(self, command: str, arguments: dict[str, object]) -> None:
        """A command has succeeded."""
        if command == "transaction":
            self._transaction(arguments)
        elif command in SNAPSHOTS:
            SNAPSHOTS[command](self, arguments)
        elif command in COMPLETES:
            self._completing.add(str(arguments.get("id", arguments.get("device"))))

    def begins(self, command: str, arguments: dict[str, object]) -> None:
        """A command that starts a job is on its way: what the job tells may come before its reply."""
        if command in KINDS:
            self._jobs[str(arguments.get("job-id", arguments.get("device")))] = (command, arguments)

    def completed(self, job: str, *, failed: bool) -> None:
        """A job is over: the graph becomes what it was for."""
        command, arguments = self._jobs.pop(job, ("", {}))
        asked = job in self._completing
        self._completing.discard(job)
        if failed:
            return
        if command == "block-commit":
            self._commit(arguments)
        elif command == "block-stream":
            self._stream(arguments)
        elif command == "blockdev-mirror" and asked:
            self._blocks.move(str(arguments.get("replaces", arguments["device"])), str(arguments["target"]))

    def _transaction(self, arguments: dict[str, object]) -> None:
        actions = arguments.get("actions")
        for action in actions if isinstance(actions, list) else ():
            if action["type"] in SNAPSHOTS:
                SNAPSHOTS[action["type"]](self, action["data"])
            else:
                self.begins(action["type"], action["data"])

    def _snapshot(self, arguments: dict[str, object]) -> None:
        node, overlay = str(arguments["node"]), str(arguments["overlay"])
        self._blocks.move(node, overlay)
        self._blocks.set_backing(overlay, node)

    def _snapshot_with_file(self, arguments: dict[str, object]) -> None:
        """The overlay came with the command: a file, and a node over it.

        A drive would hold that node; where there is none, as in the real block layer here, it is gone at once.
        """
        node, overlay = str(arguments["node-name"]), str(arguments["snapshot-node-name"])
        file = {"driver": "file", "filename": arguments["snapshot-file"]}
        form = arguments.get("format", "qcow2")
        options: dict[str, object] = {"driver": form, "node-name": overlay, "file": file, "backing": node}
        self._blocks.take_node(options)
        self.gone.append(options)
        self._snapshot({"node": node, "overlay": overlay})

    def _commit(self, arguments: dict[str, object]) -> None:
        device = str(arguments["device"])
        top = str(arguments.get("top-node", device))
        base = str(arguments.get("base-node") or self._blocks.bottom(top))
        if top == device:
            self._blocks.move(device, base)
            return
        above = self._blocks.above(top)
        if above is not None:
            self._blocks.set_backing(above, base)

    def _stream(self, arguments: dict[str, object]) -> None:
        given = arguments.get("base-node")
        device, base = str(arguments["device"]), None if given is None else str(given)
        self._blocks.set_backing(device, base)
        if self.on_stream is not None:
            self.on_stream(device, base)


SNAPSHOTS: dict[str, Callable[[Pivots, dict[str, object]], None]] = {
    "blockdev-snapshot": Pivots._snapshot,
    "blockdev-snapshot-sync": Pivots._snapshot_with_file,
}
"""What becomes of the graph, by the command or action of a transaction."""
