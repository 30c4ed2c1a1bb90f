"""Names that QEMU made itself: the back end takes no such name from us, so there it has another.

#block577 here and for clients        qmpemu.block577 in the back end
#block9002 of a node that came with another      #block123, as the back end has named it
"""

from __future__ import annotations

from qmpemu.core.options import is_identifier
from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node

NAME_BYTES_MAX = 31
MADE, THERE = "#block", "qmpemu.block"


def check_name(blocks: Blocks, name: object) -> None:
    """Whether a new node may have this name. Raises Refused."""
    if not is_identifier(str(name)):
        raise Refused(f"Invalid node-name: '{name}'")
    check_drives(blocks, {"node-name": name})
    if name in blocks.nodes:
        raise Refused(f"Duplicate nodes with node-name='{name}'")
    if len(str(name).encode()) > NAME_BYTES_MAX:
        raise Refused("Node name too long")


def check_drives(blocks: Blocks, options: dict[str, Any]) -> None:
    """Whether no drive has the name of a node or of one that comes with it. Raises Refused."""
    if blocks.named(options.get("node-name")) is not None:
        raise Refused(f"node-name={options['node-name']} is conflicting with a device id")
    for each in options.values():
        if isinstance(each, dict):
            check_drives(blocks, each)


def check_root(name: object) -> None:
    """Whether a node that is added by itself may have this name, or none. Raises Refused."""
    if name is None:
        raise Refused("'node-name' must be specified for the root node")
    if not is_identifier(str(name)):
        raise Refused(f"Invalid node-name: '{name}'")


def made(options: object) -> set[str]:
    """The names that QEMU made among a node's options."""
    if not isinstance(options, dict):
        return set()
    name = str(options.get("node-name", ""))
    own = {name} if name.startswith(MADE) else set()
    return own | made(options.get("file"))


def made_here(blocks: Blocks) -> set[str]:
    """Names that nodes were given here because they came with another; the back end gives them names of its own."""
    known = blocks.renamed | blocks.aliases.keys()
    return {name for name in blocks.nodes if name.startswith(MADE) and name not in known}


def take_names(blocks: Blocks, unnamed: list[Node], rows: list[Any]) -> None:
    """Note what names the back end has given these nodes, which keep theirs. rows: all of its nodes."""
    for node in unnamed:
        for row in rows:
            name = row["node-name"]
            same = (row["drv"], row["file"]) == (node.driver, node.path)
            if same and name.startswith(MADE) and name not in blocks.aliases.values():
                blocks.aliases[node.name] = name
                break


def inward(value: object, blocks: Blocks) -> object:
    """A command's arguments as the back end takes them, which knows some names otherwise."""
    if isinstance(value, str):
        other = THERE + value.removeprefix(MADE) if value in blocks.renamed else value
        return blocks.aliases.get(value, other)
    return _through(value, lambda each: inward(each, blocks))


def outward(value: object, blocks: Blocks, files: dict[str, str] | None = None) -> object:
    """What the back end said, as clients know it. files: names of files that have none, by their paths."""
    if isinstance(value, str):
        for path, name in (files or {}).items():
            value = value.replace(path, name)
        for ours, theirs in blocks.aliases.items():
            value = ours if value == theirs else value.replace(f"'{theirs}'", f"'{ours}'")
        return value.replace(THERE, MADE)
    if isinstance(value, QmpError):
        return QmpError(str(outward(value.desc, blocks, files)), value.cls)
    return _through(value, lambda each: outward(each, blocks, files))


def _through(value: object, change: Callable[[object], object]) -> object:
    if isinstance(value, dict):
        return {name: change(each) for name, each in value.items()}
    if isinstance(value, list):
        return [change(each) for each in value]
    return value
