"""Images that a migration has given away: nobody here may begin to write to one before it comes back (`cont`).

What is opened after the migration (an overlay for a snapshot at that moment, say) is this machine's.
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
FILTERED = f"Could not create node: {READ_ONLY}"
"""Of jobs that put a node of their own over the one that they read."""
REFUSALS = {
    "block-commit": READ_ONLY,
    "blockdev-mirror": READ_ONLY,
    "drive-mirror": READ_ONLY,
    "blockdev-snapshot": READ_ONLY,
    "block-stream": FILTERED,
    "blockdev-backup": FILTERED,
    "drive-backup": FILTERED,
}


BEGUN = ("block-commit", "blockdev-mirror", "drive-mirror")
"""Those whose job is made before it is refused."""


def check(blocks: Blocks, facts: Bus, command: str, arguments: dict[str, Any]) -> None:
    """Whether what `command` writes to is this machine's. Raises QmpError."""
    if not blocks.locks.left:
        return
    if command == "transaction":
        for each in arguments["actions"]:
            check(blocks, facts, each["type"], each["data"])
    elif command in REFUSALS and _written(blocks, command, arguments) in blocks.locks.left:
        if command in BEGUN:
            job = str(arguments.get("job-id", arguments["device"]))
            for status in ("created", "null"):
                facts.publish(JobStatusChanged(told={"status": status, "id": job}))
        raise QmpError(REFUSALS[command])


def _written(blocks: Blocks, command: str, arguments: dict[str, Any]) -> str:
    """The node that a job writes to, or whose writers it takes over."""
    if command == "blockdev-snapshot":
        return str(arguments["overlay"])
    device = str(arguments["device"])
    if command == "block-commit" and device in blocks.nodes:
        base = str(arguments.get("base-node") or blocks.bottom(device))
        return "" if base == arguments.get("top-node", device) else base  # refused for that first
    return device
