"""A device keeps others from writing to its node; exports (`holders`) do not. Here a node does, while a command runs.

    drive ─> export ─> node                       most of the time
    drive ─> blkdebug (takes, unshares) ─> node   while a command that would write to the node begins

Not all the time, because a node below another is no root node, which jobs ask for.
"""

from __future__ import annotations

from qmpemu.machine.block.locks import FIXED, PASS
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Drive, Node

GUARD = "qmpemu.guard"
"""How the names of such nodes begin."""
USED = "node '{guard}' (uses node '{node}' as 'image' child)"
NAMED = "block device '{drive}' (uses node '{node}' as 'root' child)"
REFERS = ("file", "image", "target", "backing")
WRITES = {
    "block-export-add": "node-name",
    "nbd-server-add": "device",
    "blockdev-mirror": "target",
    "blockdev-backup": "target",
}
"""Commands that write to a node, and which argument names it."""


UNNAMED = ("block-export-add", "nbd-server-add", "block_resize")
"""Commands that use a node under no name themselves."""
REFUSED = (
    "Permission conflict on node '{node}': permissions 'write' are both required by an unnamed block device (uses node "
    "'{node}' as 'root' child) and unshared by block device '{drive}' (uses node '{node}' as 'root' child)."
)


def refuse_export(blocks: Blocks, command: str, arguments: dict[str, Any]) -> None:
    """While jobs run no guard takes a drive's place: a writable export of its node is refused here. Raises QmpError."""
    if command not in ("block-export-add", "nbd-server-add") or not arguments.get("writable"):
        return
    node = arguments[WRITES[command]]
    for drive in blocks.drives:
        if drive.held and drive.attached and not drive.shares and drive.node and drive.node.name == node:
            raise QmpError(REFUSED.format(node=node, drive=drive.name or drive.qdev))


COPIED = (
    "Could not create node: Permission conflict on node '{node}': permissions 'write' are both required by node "
    "'{copy}' (uses node '{node}' as 'target' child) and unshared by block device '{drive}' (uses node '{node}' as "
    "'root' child)."
)


def refuse_copy(blocks: Blocks, arguments: dict[str, Any]) -> None:
    """What a transaction needs as a root gets no guard, and no backup of its may go there. Raises QmpError."""
    actions = arguments["actions"]
    for number, action in enumerate(actions):
        target = action["data"].get("target") if action["type"] == "blockdev-backup" else None
        others = actions[:number] + actions[number + 1 :]
        if target is None or target not in sources("transaction", {"actions": others}):
            continue
        for drive in blocks.drives:
            if drive.attached and not drive.shares and drive.node and drive.node.name == target:
                copy = action["data"].get("filter-node-name") or blocks.anonymous()
                raise QmpError(COPIED.format(node=target, copy=copy, drive=drive.name or drive.qdev))


RESIZED = (
    "Permission conflict on node '{node}': permissions 'resize' are both required by an unnamed block device (uses "
    "node '{node}' as 'root' child) and unshared by {user}."
)


def refuse_resize(blocks: Blocks, name: str) -> None:
    """Drives of discs, floppies and NVMe keep the size of their node, also through a node that passes all on.

    Raises QmpError.
    """
    for drive in blocks.drives:
        node = drive.node if drive.attached and drive.driver in FIXED else None
        user = f"block device '{drive.name or drive.qdev}' (uses node '{name}' as 'root' child)"
        while node is not None:
            if node.name == name:
                raise QmpError(RESIZED.format(node=name, user=user))
            user = f"node '{node.name}' (uses node '{name}' as 'file' child)"
            node = node.file if node.driver in PASS else None


def written(command: str, arguments: dict[str, Any]) -> list[str]:
    """The nodes that a command would write to, or keep others from writing to, beside its own device."""
    if command == "transaction":
        return [name for each in arguments["actions"] for name in written(each["type"], each["data"])]
    if command == "blockdev-create":
        return [str(arguments["options"].get("file"))]
    if command == "blockdev-reopen":
        moved = [each for each in arguments["options"] if each.get("backing")]
        return [str(each[key]) for each in moved for key in ("node-name", "backing")]
    if command == "blockdev-add":
        return [str(arguments[key]) for key in REFERS if isinstance(arguments.get(key), str)]
    if command.endswith("-add") and not arguments.get("writable"):
        return []
    return [str(arguments[WRITES[command]])] if command in WRITES else []


def sources(command: str, arguments: dict[str, Any]) -> set[str]:
    """The nodes that it asks to be root nodes."""
    if command == "transaction":
        return set().union(*(sources(each["type"], each["data"]) for each in arguments["actions"]))
    if command.startswith("block-dirty-bitmap"):
        return set()
    return {
        str(arguments[key]) for key in ("device", "node") if command != "nbd-server-add" and key in arguments
    }


def concerned(blocks: Blocks, command: str, arguments: dict[str, Any]) -> list[Drive]:
    """The drives with a device that such a command may harm."""
    names = written(command, arguments)
    if not names:
        return []
    found = {node for name in names if (node := blocks.nodes.get(name)) is not None}
    below = list(found)
    while below:
        node = below.pop()
        if node.file is not None and node.file not in found:
            found.add(node.file)
            below.append(node.file)
    kept = sources(command, arguments)
    return [
        drive
        for drive in blocks.drives
        if drive.held
        and drive.attached
        and drive.node
        and drive.node.name not in kept
        and _over(drive.node, found)
    ]


def _over(node: Node, found: set[Node]) -> bool:
    """Whether what is done to one of these is done to the node, to what it does the same to, or to what is below it."""
    if node in found or (node.driver in PASS and node.file is not None and _over(node.file, found)):
        return True
    return node.backing is not None and _over(node.backing, found)


def guard(name: str, drive: Drive) -> dict[str, object]:
    """Options of a node that takes and unshares what the drive's device does."""
    assert drive.node is not None
    writes = not drive.node.read_only and not drive.driver.endswith("-cd")
    unshared = [*([] if drive.shares else ["write"]), *(["resize"] if drive.driver in FIXED else [])]
    kept = {"unshare-child-perms": unshared} if unshared else {}
    return {
        "driver": "blkdebug",
        "node-name": name,
        "image": drive.node.name,
        "read-only": drive.node.read_only,
        "take-child-perms": ["consistent-read", *(["write"] if writes else [])],
        **kept,
    }
