"""Which node a drive shows while a job runs: jobs put filters between a drive and its node.

    drive ─> copy-before-write ─> node         the filter of a backup is shown in place of the node
    drive ─> mirror_top, copy-on-read ─> node  others only where the client has named them (filter-node-name)

Our graph knows no filters: the real block layer tells which there are (x-debug-query-block-graph).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.graph import Blocks

SHOWN_UNNAMED = "copy-before-write"
DRIVERS = (SHOWN_UNNAMED, "mirror_top", "copy-on-read")
MADE = "#"


def shown(blocks: Blocks, name: str, graph: Any, nodes: list[Any]) -> str:
    """The node that the drive on node `name` shows. graph, nodes: as the real block layer told them."""
    drivers = {each["node-name"]: str(each["drv"]) for each in nodes}
    names = {each["id"]: str(each["name"]) for each in graph["nodes"] if each["type"] == "block-driver"}
    found = name
    at: str | None = name
    while at is not None:
        if not at.startswith(MADE) or drivers.get(at) == SHOWN_UNNAMED:
            found = at
        at = next(
            (
                above
                for edge in graph["edges"]
                if names.get(edge["child"]) == at
                and (above := names.get(edge["parent"], "")) not in blocks.nodes
                and drivers.get(above) in DRIVERS
            ),
            None,
        )
    return found
