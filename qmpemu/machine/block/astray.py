"""Image files that their names no longer lead to: deleted, moved away or replaced while the machine has them open.

    node ─> vm.qcow2 (gone)        what clients are told
    node ─> /proc/PID/fd/N         where the real block layer opens it: this process's descriptor of the file (`locks`)

QEMU goes on with its open files. Only what opens one anew by its name fails there, too (measured on QEMU 7.2).
"""

from __future__ import annotations

from qmpemu.machine.block.happened import JobStatusChanged
from qmpemu.machine.block.locks import PROTOCOLS
from qmpemu.machine.block.nodes import backing_of
from qmpemu.machine.block.shown import name, told_path
from qmpemu.machine.block.temporary import Temporary
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.core.facts import Bus
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.host import Host

COPIES = ("drive-mirror", "drive-backup")


class Astray:
    """Those of one machine, as of the last start of a real block layer."""

    def __init__(
        self, host: Host, blocks: Blocks, facts: Bus, do: Callable[[str, dict[str, object]], object]
    ) -> None:
        """do: run a command of the real block layer and wait for it."""
        self._host, self._blocks, self._facts, self._do = host, blocks, facts, do
        self._only_read: set[str] = set()
        """Nodes of such files that were opened for reading only."""
        self._written: set[str] = set()
        """Those that were opened for writing, too: this cannot be changed without the name."""
        self.paths: dict[str, str] = {}
        """By what names clients are told of the files, by the paths that lead to them."""

    def look(self) -> None:
        """A real block layer is about to open every node: see which files would not be found, or be others."""
        for file in self._blocks.nodes.values():
            told = told_path(file.path)
            path = self._blocks.locks.elsewhere_found(file) if file.driver in PROTOCOLS else None
            if path is None:
                continue
            found = Temporary(path)
            found.told = told
            self.paths[path] = told
            for node in [each for each in self._blocks.nodes.values() if each.path == file.path]:
                if node.bottom is file:
                    (self._only_read if node.read_only else self._written).add(node.name)
                    node.path = found

    def options(self, options: dict[str, Any]) -> dict[str, object]:
        """A node's options with the paths that lead to its files."""
        return self._found(options, self._blocks.nodes[options["node-name"]]) if self.paths else options

    def _found(self, options: dict[str, Any], node: Node) -> dict[str, object]:
        if node.driver in PROTOCOLS and node.path in self.paths:
            options = {**options, "filename": str(node.path)}
        below = node.backing
        if below is not None and "backing" not in options and self.is_over(below):
            options = {**options, "backing": backing_of(node.image, options)}
        children = {"file": node.file, "image": node.file, "backing": below}
        inline = {key: each for key, each in children.items() if isinstance(options.get(key), dict) and each}
        return {**options, **{key: self._found(options[key], each) for key, each in inline.items()}}

    def is_over(self, node: Node | None) -> bool:
        """Whether such a file is among those that a node is over."""
        return node is not None and any(each.path in self.paths for each in node.chain())

    def named(self, rows: list[Any]) -> list[Any]:
        """Rows of query-named-block-nodes, with the names that files had when they were opened."""
        for row in rows:
            node = self._blocks.nodes.get(row["node-name"])
            if node is not None and self.is_over(node):
                row["file"] = name(node)
                if node.name in self._written and (node.file is not None or not _may_follow(node)):
                    row["ro"] = False
                if node.backing is not None and "backing_file" in row:
                    row["backing_file"] = name(node.backing)
                _name(row["image"], node)
        return rows

    # --- what is done with them -----------------------------------------------------------------------------------

    def given(self, command: str, arguments: dict[str, Any]) -> dict[str, object]:
        """A command's arguments, so that no image is told a path that only this process has. Raises QmpError."""
        if not self.paths:
            return arguments
        if command == "transaction":
            actions = [
                {**each, "data": self.given(each["type"], each["data"])} for each in arguments["actions"]
            ]
            return {**arguments, "actions": actions}
        if command == "blockdev-reopen":
            return {"options": [self._reopened(each) for each in arguments["options"]]}
        if command == "blockdev-snapshot-sync" and arguments.get("mode") != "existing":
            return self._with_overlay(arguments)
        if command == "block-commit":
            self._check_commit(arguments)
        node = self._blocks.nodes.get(str(arguments.get("device")))
        if command in COPIES and arguments.get("sync") != "full" and self.is_over(node):
            raise not_emulated(f"{command} of less than all of a disk whose file is gone")
        base = self._blocks.nodes.get(str(arguments.get("base-node")))
        tells = command == "block-stream" or (command == "block-commit" and "top-node" in arguments)
        if tells and base is not None and self.is_over(base):
            return {"backing-file": name(base), **arguments}
        return arguments

    def _reopened(self, options: dict[str, Any]) -> dict[str, object]:
        """The file stays the one it is, unless its name is needed to write to it, or no more. Raises QmpError."""
        node = self._blocks.nodes.get(str(options.get("node-name")))
        if node is not None and node.file is not None and node.bottom.path in self.paths:
            turns = (options.get("read-only") is True) is not node.read_only
            told = told_path(node.bottom.path)
            why = self._host.why_unreadable(told)
            if turns and why is not None and (node.file.implicit or _may_follow(node)):
                raise QmpError(f"Could not open '{told}': {why}")
        if node is None or options.get("filename") != self.paths.get(node.path, ""):
            return options
        return {**options, "filename": str(node.path)}

    def _with_overlay(self, arguments: dict[str, Any]) -> dict[str, object]:
        """The overlay is made here, since it names what it is over. Raises Refused."""
        under = self._blocks.nodes.get(str(arguments.get("node-name")))
        if under is None or not self.is_over(under):
            return arguments
        rows: Any = self._do("query-named-block-nodes", {"flat": True})
        size = next(each["image"]["virtual-size"] for each in rows if each["node-name"] == under.name)
        form = str(arguments.get("format", "qcow2"))
        self._host.make_overlay(arguments["snapshot-file"], form, name(under), under.driver, size)
        return {**arguments, "mode": "existing"}

    def _check_commit(self, arguments: dict[str, Any]) -> None:
        """A base that was only read is opened anew for writing, by its name. Raises QmpError."""
        device = str(arguments.get("device"))
        top = str(arguments.get("top-node", device))
        if top not in self._blocks.nodes:
            return
        base = self._blocks.nodes.get(str(arguments.get("base-node") or self._blocks.bottom(top).name))
        if base is None or base.name not in self._only_read or not _may_follow(base):
            return
        told = told_path(base.path)
        why = self._host.why_unreadable(told)
        if why is None:
            return
        if top != device:
            for status in ("created", "null"):
                job = arguments.get("job-id", device)
                self._facts.publish(JobStatusChanged(told={"status": status, "id": job}))
        raise QmpError(f"Could not open '{told}': {why}")


def _may_follow(node: Node) -> bool:
    """Whether the file is opened for reading only where nobody writes."""
    return node.bottom.options.get("auto-read-only") in (True, "on")


def _name(image: dict[str, Any], node: Node) -> None:
    image["filename"] = name(node)
    below = image.get("backing-image")
    if below is not None and node.backing is not None:
        _name(below, node.backing)
