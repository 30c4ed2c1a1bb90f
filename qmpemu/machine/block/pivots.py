"""How snapshots and jobs move drives and backing files: the graph's share of what the real block layer does.

snapshot(node, overlay)       drives on node ──> overlay         overlay.backing = node
snapshot by file name         the same; the overlay is a node that the drive alone keeps (`opened`)
commit of the active layer    drives on top  ──> base            when it was completed, not cancelled
commit of a middle layer                                         above(top).backing = base
stream                                                           device.backing = base
mirror                        drives on source ──> target        when it was completed, not cancelled
mirror by file name           the same; the target is a node that the drive alone keeps
"""

from __future__ import annotations

from qmpemu.machine.block.lost import KINDS
from qmpemu.machine.block.nodes import Node
from qmpemu.machine.block.opened import overlay
from qmpemu.machine.block.reopened import reopened
from qmpemu.machine.host import Image
from qmpemu.qmp.errors import not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    from qmpemu.machine.block.graph import Blocks

COMPLETES = ("job-complete", "block-job-complete")


class Pivots:
    """Jobs by id, with the command that started them, until they are over."""

    def __init__(self, blocks: Blocks, opens: Callable[..., object]) -> None:
        self._blocks = blocks
        self._opens = opens
        """Let the real block layer open a node that a drive will be on."""
        self._targets: dict[str, dict[str, object] | None] = {}
        """What copies by file name go to, by job."""
        self.jobs: dict[str, tuple[str, dict[str, object]]] = {}
        """Commands and their arguments, by job."""
        self._completing: set[str] = set()
        self._bases: dict[str, Node] = {}
        """Below all that a commit is of, as its disk was when it began."""
        self.on_stream: Callable[[str, str | None], object] | None = None
        """Called with device and base of a stream that has ended well."""

    def done(self, command: str, arguments: dict[str, object]) -> None:
        """A command has succeeded."""
        if command == "transaction":
            self._transaction(arguments)
        elif command == "blockdev-snapshot-sync":
            self._snapshot_sync(arguments)
        elif command == "blockdev-snapshot":
            self._snapshot(arguments)
        elif command == "blockdev-reopen":
            for each in arguments["options"]:  # type: ignore[attr-defined]  # it was taken
                reopened(self._blocks, each)
        elif command in COMPLETES:
            self._completing.add(str(arguments.get("id", arguments.get("device"))))

    def copies_to(self, job: str, options: dict[str, object] | None) -> None:
        """A drive-mirror has begun; None for a target that is no file of this host."""
        self._targets[job] = options
        if options is not None:
            file: Any = options["file"]
            unseen = Image(virtual_bytes=0, file_bytes=0, actual_bytes=0)
            self._blocks.copies[job] = Node(options, None, unseen, str(file["filename"]))

    def check(self, command: str, arguments: dict[str, object]) -> None:
        """Whether a command can be followed here. Raises QmpError."""
        job = str(arguments.get("id", arguments.get("device")))
        if command in COMPLETES and job in self._targets and self._targets[job] is None:
            raise not_emulated("drive-mirror's completion onto what is no file of this host")

    def works_on(self, arguments: dict[str, object], alive: Collection[str]) -> bool:
        """Whether a job that is there is of the node that a command names: its filter says who may write."""
        names = [arguments[key] for key in ("node-name", "device") if key in arguments]
        return any(given.get("device") in names for job, (_, given) in self.jobs.items() if job in alive)

    def begins(self, command: str, arguments: dict[str, object]) -> None:
        """A command that starts a job is on its way: what the job tells may come before its reply."""
        job, top = str(arguments.get("job-id", arguments.get("device"))), arguments.get("device")
        if command in KINDS:
            self.jobs[job] = (command, arguments)
        if command == "block-commit" and top in self._blocks.nodes:
            self._bases[job] = self._blocks.bottom(str(top))

    def completed(self, job: str, *, failed: bool) -> None:
        """A job is over: the graph becomes what it was for."""
        command, arguments = self.jobs.pop(job, ("", {}))
        asked = job in self._completing
        self._completing.discard(job)
        target, bottom = self._targets.pop(job, None), self._bases.pop(job, None)
        self._blocks.copies.pop(job, None)
        if failed:
            return
        if command == "block-commit":
            self._commit(arguments, bottom, asked=asked)
        elif command == "block-stream":
            self._stream(arguments)
        elif command == "blockdev-mirror" and asked:
            self._blocks.move(str(arguments.get("replaces", arguments["device"])), str(arguments["target"]))
        elif target is not None and asked:
            self._opens(target, held=self._held(str(arguments.get("replaces", arguments["device"]))))
            self._blocks.move(str(arguments.get("replaces", arguments["device"])), str(target["node-name"]))

    def _transaction(self, arguments: dict[str, object]) -> None:
        actions = arguments.get("actions")
        for action in actions if isinstance(actions, list) else ():
            if action["type"] == "blockdev-snapshot":
                self._snapshot(action["data"])
            elif action["type"] == "blockdev-snapshot-sync":
                self._snapshot_sync(action["data"])
            else:
                self.begins(action["type"], action["data"])

    def _snapshot(self, arguments: dict[str, object]) -> None:
        node, overlay = str(arguments["node"]), str(arguments["overlay"])
        self._blocks.move(node, overlay)
        self._blocks.set_backing(overlay, node)
        self._make_read_only(node, read_only=True)

    def _make_read_only(self, name: str, *, read_only: bool) -> None:
        """As the real block layer has made it: what is below a snapshot, and no more what was committed into."""
        node = self._blocks.nodes.get(name)
        if node is not None:
            node.read_only = read_only
            node.options = {**node.options, "read-only": read_only}
            inline = node.options.get("file")
            if node.file is not None and isinstance(inline, dict) and "read-only" not in inline:
                node.file.read_only = read_only  # as it is opened

    def _snapshot_sync(self, arguments: dict[str, object]) -> None:
        options = overlay(self._blocks, arguments)
        self._opens(options, held=self._held(str(arguments["node-name"])))
        self._blocks.move(str(arguments["node-name"]), str(options["node-name"]))
        self._make_read_only(str(arguments["node-name"]), read_only=True)

    def _held(self, node: str) -> bool:
        """Whether the real block layer keeps what comes in the node's place, be it for nobody's use."""
        return all(drive.held for drive in self._blocks.drives if drive.node is self._blocks.nodes.get(node))

    def _commit(self, arguments: dict[str, object], bottom: Node | None, *, asked: bool) -> None:
        """asked: whether it was told to go over; a cancelled one that was ready has ended well, and nothing moves."""
        device = str(arguments["device"])
        top = str(arguments.get("top-node", device))
        base = str(arguments.get("base-node") or (bottom and bottom.name))
        if top == device:
            self._make_read_only(base, read_only=False)
            if asked:
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
