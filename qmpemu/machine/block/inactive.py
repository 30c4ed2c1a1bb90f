"""Images that a migration has given away: nobody here may begin to write to one before it comes back (`cont`).

What is opened after the migration (an overlay for a snapshot at that moment, say) is this machine's. So it is before a
guest comes, when nothing is but what is exported.
"""

from __future__ import annotations

from qmpemu.machine.block.happened import JobStatusChanged
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.core.facts import Bus
    from qmpemu.machine.block.graph import Blocks

READ_ONLY = "Block node is read-only"
NO_SNAPSHOTS = "Block format '{driver}' used by device '{device}' does not support internal snapshots"
FILTERED = f"Could not create node: {READ_ONLY}"
"""Of jobs that put a node of their own between."""
WRITTEN = {
    "block-commit": ("base-node", READ_ONLY),
    "block-stream": ("device", FILTERED),
    "blockdev-backup": ("target", FILTERED),
    "blockdev-mirror": ("target", READ_ONLY),
    "blockdev-snapshot": ("overlay", READ_ONLY),
    "drive-backup": ("device", FILTERED),
    "drive-mirror": ("device", READ_ONLY),
    "blockdev-snapshot-internal-sync": ("device", NO_SNAPSHOTS),
    "block_resize": ("node-name", READ_ONLY),
}
"""Which argument names the node that a command writes to, or whose state its target has, and how it is refused."""
BEGUN = ("block-commit", "blockdev-mirror", "drive-mirror")
"""Those whose job is made before it is refused."""
EXPORTS = {"block-export-add": "node-name", "nbd-server-add": "device"}
"""What is exported is this machine's from then on: storage is copied to it."""


def check(blocks: Blocks, facts: Bus, command: str, arguments: dict[str, Any]) -> None:
    """Whether what `command` writes to is this machine's. Raises QmpError."""
    exported = arguments.get("node-name") if command == "block-export-add" else None
    if exported in blocks.locks.elsewhere and arguments.get("writable"):
        raise QmpError(READ_ONLY)
    if not blocks.locks.away:
        return
    if command in EXPORTS:
        blocks.locks.exported.add(str(arguments[EXPORTS[command]]))
    elif command == "transaction":
        for each in arguments["actions"]:
            check(blocks, facts, each["type"], each["data"])
    elif command in WRITTEN and _is_away(blocks, command, _written(blocks, command, arguments)):
        if command in BEGUN:
            job = str(arguments.get("job-id", arguments["device"]))
            for status in ("created", "null"):
                facts.publish(JobStatusChanged(told={"status": status, "id": job}))
        form = blocks.nodes[_written(blocks, command, arguments)].driver
        raise QmpError(WRITTEN[command][1].format(driver=form, device=arguments.get("device")))


def is_only_read(blocks: Blocks, options: dict[str, Any]) -> bool:
    """Whether an image is to be made on a node that is not this machine's."""
    file = options.get("file")
    return blocks.locks.away and isinstance(file, str) and _is_away(blocks, "blockdev-create", file)


def _is_away(blocks: Blocks, command: str, name: str) -> bool:
    """Whether a node is not this machine's: what is opened after the guest has gone is, what before it comes is not."""
    if name not in blocks.nodes or (command == "drive-mirror" and blocks.above(name) is not None):
        return False  # refused for that
    locks = blocks.locks
    if locks.asleep:
        return name not in blocks.loose | locks.exported and command != "blockdev-snapshot"
    return name in locks.left


def shared(blocks: Blocks, commands: list[str], why: str) -> bool:
    """Whether an NBD server can be had all the same, beside a source that still writes to some of the images."""
    locks = blocks.locks
    if commands[:1] == ["nbd-server-start"] and locks.asleep and not locks.elsewhere and "lock" in why:
        locks.elsewhere = locks.contended()
        return bool(locks.elsewhere)
    return False


def only_read(blocks: Blocks, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same options, those of images that somebody else writes to for reading only."""
    given = {"read-only": True, "force-share": True}
    return [{**each, **given} if each["node-name"] in blocks.locks.elsewhere else each for each in nodes]


def _written(blocks: Blocks, command: str, arguments: dict[str, Any]) -> str:
    node = arguments.get(WRITTEN[command][0])
    if command == "block-commit" and arguments["device"] in blocks.nodes:
        top = arguments.get("top-node", arguments["device"])
        node = node or blocks.bottom(str(arguments["device"])).name
        return "" if node == top else str(node)  # refused for that first
    return str(node)
