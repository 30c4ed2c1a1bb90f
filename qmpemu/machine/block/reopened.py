"""Nodes that blockdev-reopen has opened anew: what it does not name is as if it had never been given.

The graph has to follow: a real block layer that is started later opens nodes as they are now.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node


def reopened(blocks: Blocks, options: dict[str, Any]) -> None:
    """One node's options have been replaced."""
    node = blocks.nodes.get(str(options["node-name"]))
    if node is None:
        return
    key = "image" if "image" in node.options else "file"
    inline, given = node.options.get(key), options.get(key)
    file = blocks.nodes.get(given) if isinstance(given, str) else node.file
    kept = {key: inline} if isinstance(inline, dict) and file is node.file else {}
    for each in blocks.nodes.values():
        for above, child in (("file", each.file), ("image", each.file), ("backing", each.backing)):
            if child is node and isinstance(each.options.get(above), dict):
                each.options = {**each.options, above: {**options}}
    below = node.backing
    node.options = {**options, **kept}
    node.read_only = options.get("read-only") is True
    if file is not None and node.file is not None and isinstance(kept.get(key), dict):
        file.read_only = kept[key].get("read-only", node.read_only) is True
    if file is not node.file and file is not None:
        node.file, node.path = file, file.path
    if "backing" in options:
        node.backing = blocks.nodes.get(str(options["backing"]))
    _drop(blocks, below)
    blocks.locks.refresh()


def _drop(blocks: Blocks, node: Node | None) -> None:
    """One that came with another is gone where nothing is over it any more."""
    if node is not None and node.implicit and node.name in blocks.nodes and not blocks.is_used(node):
        blocks.forget(node.name)
