"""Commands that name a drive of the old kind (-drive) reach the node that is in it.

{"device": "ide0-hd0"}  ->  {"device": "#block9001", "job-id": "ide0-hd0"}

The real block layer behind knows nodes alone. A job has the drive's name unless it is given another.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node

JOBS = frozenset(
    "block-commit block-stream blockdev-backup blockdev-mirror drive-backup drive-mirror".split()
)
NODE_NAMED = ("block_resize", "blockdev-snapshot-sync")
"""Commands that take a node by `node-name`."""


def by_node(
    blocks: Blocks, command: str, given: dict[str, Any], top: Callable[[Node], str]
) -> dict[str, Any]:
    """The arguments of a command with nodes for drives, those of a transaction's actions too. Raises Refused.

    top: the node that a drive is on which has this one: a job's filter, or the node itself.
    """
    if command == "transaction":
        actions = [
            {**each, "data": by_node(blocks, each["type"], each["data"], top)} for each in given["actions"]
        ]
        return {**given, "actions": actions}
    key = "node" if "node" in given else "device"
    drive = blocks.named(given.get(key))
    if drive is None:
        return given
    if drive.node is None:
        raise Refused(f"Device '{drive.name}' has no medium")
    drive.top = top(drive.node)
    found = {**given, key: drive.top}
    if command in JOBS:
        found.setdefault("job-id", drive.name)
    if command in NODE_NAMED:
        found["node-name"] = found.pop("device")
    if command == "blockdev-snapshot-sync" and "snapshot-node-name" not in found:
        found["snapshot-node-name"] = blocks.anonymous()
        blocks.renamed.add(found["snapshot-node-name"])
    return found


def worded(blocks: Blocks, text: str) -> str:
    """An error of the real block layer's, with drives' names for the nodes that they are on."""
    for drive in blocks.drives:
        if drive.name and drive.node is not None:
            node = drive.top or drive.node.name
            text = text.replace(f"Node '{node}' is busy", f"Node '{drive.name}' is busy")
            text = text.replace(f"device '{node}'", f"device '{drive.name}'")
    return text
