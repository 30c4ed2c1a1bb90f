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
OURS = "qmpemu."
"""How the names of nodes begin that are put in here."""
FILTERS = (
    *DRIVERS,
    "commit_top",
    "throttle",
    "blkdebug",
    "preallocate",
    "compress",
    "blklogwrites",
    "blkreplay",
)
"""Drivers that are filters to QEMU."""
UNSEEN = ("commit_top", "mirror_top", "copy-on-read")
"""Of those that nobody has named, a drive's chain shows none of these either."""


class Chains:
    """The nodes with the filters of jobs among them. nodes, graph: as the real block layer told them."""

    def __init__(self, nodes: list[Any], graph: Any) -> None:
        names = {each["id"]: str(each["name"]) for each in graph["nodes"] if each["type"] == "block-driver"}
        self._drivers = {each["node-name"]: str(each["drv"]) for each in nodes}
        self._below: dict[str, dict[str, str]] = {}
        self._above: dict[str, list[str]] = {}
        for edge in graph["edges"]:
            if edge["parent"] in names:
                above, child = names[edge["parent"]], names.get(edge["child"], "")
                self._below.setdefault(above, {})[edge["name"]] = child
                self._above.setdefault(child, []).append(above)

    def shown(self, blocks: Blocks, name: str) -> str:
        """The node that the drive on node `name` shows."""
        found = name
        at: str | None = name
        while at is not None:
            if not at.startswith(MADE) or self._drivers.get(at) == SHOWN_UNNAMED:
                found = at
            above = self._above.get(at, ())
            filters = (each for each in above if self._drivers.get(each) in DRIVERS)
            at = next((each for each in filters if each not in blocks.nodes), None)
        return found

    def top(self, blocks: Blocks, name: str) -> str:
        """The last of the filters that jobs have put over a node."""
        above = self._above.get(name, ())
        found = next((each for each in above if each not in blocks.nodes and not each.startswith(OURS)), None)
        return name if found is None else self.top(blocks, found)

    def below(self, name: str) -> dict[str, str]:
        """Nodes by `parent`, which is a file, and `backing`; a filter shows what it filters as both."""
        children = self._below.get(name, {})
        filtered = next((children[key] for key in ("file", "backing") if key in children), None)
        if self._drivers.get(name) in FILTERS:
            found = {"parent": filtered, "backing": filtered}
        else:
            found = {"parent": children.get("file"), "backing": children.get("backing")}
        return {key: self._seen(child) for key, child in found.items() if child is not None}

    def _seen(self, name: str) -> str:
        """The node, or the first below it that is no filter that nobody has named."""
        while self._drivers.get(name) in UNSEEN and name.startswith(MADE):
            children = self._below.get(name, {})
            name = children.get("file") or children.get("backing") or ""
        return name


def without_filters(row: dict[str, Any] | None, nodes: list[Any]) -> dict[str, Any] | None:
    """What a drive shows of its node: without the filters in its chain that nobody has named."""
    unseen = {each["drv"] for each in nodes if each["drv"] in UNSEEN and each["node-name"].startswith(MADE)}
    if row is None or not unseen:
        return row
    image = _plain(row["image"], unseen)
    passed = _depth(row["image"]) - _depth(image)
    return {**row, "image": image, "backing_file_depth": row["backing_file_depth"] - passed}


def _plain(image: dict[str, Any], unseen: set[str]) -> dict[str, Any]:
    below = image.get("backing-image")
    while below is not None and below["format"] in unseen:
        below = below.get("backing-image")
    return image if below is None else {**image, "backing-image": _plain(below, unseen)}


def _depth(image: dict[str, Any]) -> int:
    below = image.get("backing-image")
    return 0 if below is None else 1 + _depth(below)
