"""By what name a node is shown: its file's, or, where that would open something else, all its options (`json:{...}`).

Measured on QEMU 7.2. A file's name alone is enough for a format over a protocol whose backing file is the one that the
image names, letter by letter: `base.qcow2` in the image is not `/images/base.qcow2` that was given.
"""

from __future__ import annotations

from qmpemu.machine.block.slices import PARTS, is_slice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.nodes import Node

FORMATS = ("raw", "qcow2")


def name(node: Node) -> str:
    """The file's name, or the options from which it can be opened again."""
    if _is_exact(node):
        return _path(node, told=True)
    from json import dumps

    return "json:" + dumps(options_of(node, told=True))


def is_overridden(node: Node) -> bool:
    """Whether it is over another backing file than its image names, by that name."""
    if "backing" not in node.options:
        return False
    return node.image.backing_name != (None if node.backing is None else name(node.backing))


def _is_exact(node: Node) -> bool:
    if node.driver not in FORMATS or node.file is None:
        return True
    if is_slice(node.options) or (node.driver == "qcow2" and is_overridden(node)):
        return False
    return node.file.driver not in FORMATS


def _path(node: Node, *, told: bool) -> str:
    return told_path(node.path) if told else str(node.path)


def told_path(path: str) -> str:
    """What clients are told of a path, which may lead to a file that no name leads to."""
    return str(getattr(path, "told", path))


def options_of(node: Node, *, told: bool = False) -> dict[str, object]:
    """The options from which it can be opened again. told: with the names that clients know."""
    from qmpemu.qmp.order import ordered

    members: dict[str, object] = {"driver": node.driver}
    if node.driver == "null-co":
        from qmpemu.machine.block.nodes import null_options

        return null_options(node.options)
    if node.driver not in FORMATS or node.file is None:
        return {**members, "filename": _path(node, told=told)}
    members["file"] = options_of(node.file, told=told)
    for part in PARTS if node.driver == "raw" else ():
        if part in node.options:
            given = node.options[part]
            members[part] = getattr(given, "text", given)
    if node.driver == "qcow2" and is_overridden(node):
        members["backing"] = None if node.backing is None else options_of(node.backing, told=told)
    return dict(ordered(members))
