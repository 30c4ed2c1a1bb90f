"""Nodes that a command opens by a file's name: an overlay, a copy's target, a medium. The drive alone keeps them.

The real block layer would drop them at once, since no drive is on its nodes: it is told to open them again.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.locks import HINT, PROTOCOLS
from qmpemu.machine.block.names import made
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.layer import BlockLayer
    from qmpemu.machine.block.nodes import Node


class Opener:
    """Lets the real block layer open such nodes. send: a command of its, without waiting."""

    def __init__(
        self, blocks: Blocks, send: Callable[[str, dict[str, object], Callable[[object], object]], object]
    ) -> None:
        self._blocks, self._send = blocks, send
        self._late: list[dict[str, object]] = []
        """Nodes that are to be opened again as soon as a job has ended."""

    def open(self, options: dict[str, object], *, held: bool) -> None:
        """Let it open a node that a drive is about to be on, and that goes with the drive. held: it has kept it."""
        self._blocks.loose.add(str(options["node-name"]))
        if not held:
            self._blocks.renamed |= made(options)
            self._open_again(options)
        self._blocks.take_node(options)

    def _open_again(self, options: dict[str, object]) -> None:
        def opened(outcome: object) -> None:
            if isinstance(outcome, QmpError):  # a job holds the node that the command has opened
                self._late.append(options)

        self._send("blockdev-add", options, opened)

    def open_late(self) -> None:
        """A job has ended: what it held may be opened now."""
        late, self._late = self._late, []
        for options in late:
            if options["node-name"] in self._blocks.loose:
                self._open_again(options)


INHERITED = ("cache", "detect-zeroes")
"""Options that an overlay and a copy have from what they stand for."""
GUESSED = """\
WARNING: Image format was not specified for '{path}' and probing guessed raw.
         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.
         Specify the 'raw' format explicitly to remove the restrictions."""
FILTERS = ("mirror_top", "commit_top", "copy-before-write")
"""Drivers of nodes that jobs put in by themselves."""


def protocol(path: str) -> dict[str, object]:
    """Options of the node that holds a file by that name. Raises Refused."""
    if path.startswith("json:"):
        from json import loads  # late: it imports `re`, 5 ms of a start

        options = loads(path.removeprefix("json:"))
        return dict(options)
    head, colon, rest = path.partition(":")
    if colon and head in ("file", "host_device"):
        return {"driver": head, "filename": rest}
    if colon and "/" not in head:
        from qmpemu.machine.block.protocols import named

        return named(head, path)
    device = path.startswith("/dev/") and not path.startswith("/dev/shm/")
    return {"driver": "host_device" if device else "file", "filename": path}


def medium(layer: BlockLayer, path: str, form: str | None, *, read_only: bool) -> Node:
    """Open a file that goes into a drive. form: guessed where it is None. Raises Refused or QmpError."""
    if not path:
        raise Refused("The 'file' block driver requires a file name")
    file = protocol(path)
    driver = form or guessed(layer, file)
    blocks = layer.blocks
    options: dict[str, object] = {
        "driver": driver,
        "node-name": blocks.anonymous(),
        "read-only": read_only,
        "file": {**file, "node-name": blocks.anonymous()},
    }
    node = open_named(layer, options, here=driver in ("raw", "qcow2") and file["driver"] in HERE)
    if form is None and driver == "raw" and not read_only:
        layer.host.complain(GUESSED.format(path=node.path))
    blocks.loose.add(node.name)
    return node


HERE = ("null-co", *PROTOCOLS)
"""Drivers of files that the graph can show without the real block layer."""


def guessed(layer: BlockLayer, file: dict[str, object]) -> str:
    """The format of a file for which none is given. Raises Refused where it cannot be looked at."""
    if file["driver"] not in (*HERE, "null-aio"):
        raise Refused(
            "qmpemu does not emulate guessing the format of what is no file of this host: give format="
        )
    return layer.host.probe(str(file.get("filename")))


def open_named(layer: BlockLayer, options: dict[str, object], *, here: bool) -> Node:
    """Open what was named by a protocol, whose driver may not be there. Raises Refused or QmpError."""
    try:
        return layer.store.open(options, here=here)
    except QmpError as error:
        if error.desc.startswith("Failed to get ") and error.desc.endswith(" lock"):
            file = options.get("file")
            path = file.get("filename") if isinstance(file, dict) else options.get("filename")
            raise Refused(error.desc, HINT.format(path=path)) from None
        raise QmpError(error.desc.replace("Unknown driver", "Unknown protocol"), error.cls) from None


def overlay(blocks: Blocks, arguments: dict[str, Any]) -> dict[str, object]:
    """Options of the node that blockdev-snapshot-sync has opened."""
    under = blocks.nodes[arguments["node-name"]]
    return {
        "driver": arguments.get("format", "qcow2"),
        "node-name": arguments["snapshot-node-name"],
        **{name: under.options[name] for name in INHERITED if name in under.options},
        **({"read-only": True} if under.read_only else {}),
        "file": {**protocol(arguments["snapshot-file"]), "node-name": blocks.anonymous()},
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
