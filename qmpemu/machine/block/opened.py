"""Nodes that a command opens by a file's name: an overlay, a copy's target, a medium. The drive alone keeps them.

The real block layer would drop them at once, since no drive is on its nodes: it is told to open them again.
"""

from __future__ import annotations

from qmpemu.qmp.errors import not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.graph import Blocks

INHERITED = ("cache", "detect-zeroes")
"""Options that an overlay and a copy have from what they stand for."""
FILTERS = ("mirror_top", "commit_top", "copy-before-write")
"""Drivers of nodes that jobs put in by themselves."""


def protocol(path: str) -> dict[str, object]:
    """Options of the node that holds a file by that name. Raises QmpError for what is no file of this host."""
    from json import loads

    if path.startswith("json:"):
        options = loads(path.removeprefix("json:"))
        return dict(options)
    head, colon, rest = path.partition(":")
    if colon and head in ("file", "host_device"):
        return {"driver": head, "filename": rest}
    if colon and "/" not in head:
        raise not_emulated(f"images by the name of '{head}:'")
    device = path.startswith("/dev/") and not path.startswith("/dev/shm/")
    return {"driver": "host_device" if device else "file", "filename": path}


def overlay(blocks: Blocks, arguments: dict[str, Any]) -> dict[str, object]:
    """Options of the node that blockdev-snapshot-sync has opened."""
    under = blocks.nodes[arguments["node-name"]]
    return {
        "driver": arguments.get("format", "qcow2"),
        "node-name": arguments["snapshot-node-name"],
        **{name: under.options[name] for name in INHERITED if name in under.options},
        "file": protocol(arguments["snapshot-file"]),
        "backing": under.name,
    }


def target(
    blocks: Blocks, arguments: dict[str, Any], before: list[Any], after: list[Any]
) -> dict[str, object] | None:
    """Options of the node that drive-mirror has opened; None where it is no file of this host.

    before, after: the nodes before the command and after it, newest first.
    """
    known = {each["node-name"] for each in before}
    new = [each for each in after if each["node-name"] not in known and each["drv"] not in FILTERS]
    source = blocks.nodes.get(arguments["device"])
    if len(new) < 2 or source is None or new[1]["drv"] not in ("file", "host_device"):
        return None
    made, file = new[0], new[1]
    options: dict[str, object] = {
        "driver": made["drv"],
        "node-name": made["node-name"],
        **{name: source.options[name] for name in INHERITED if name in source.options},
        "file": {"driver": file["drv"], "node-name": file["node-name"], "filename": file["file"]},
    }
    if made["drv"] != "raw" and arguments.get("mode") != "existing":
        under = {"top": source.backing, "none": source}.get(arguments["sync"])
        options["backing"] = under.name if under is not None else None
    return options
