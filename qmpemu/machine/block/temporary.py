"""The overlay of a drive with `snapshot=on`: what is written goes into an image that ends with the process.

    drive ─> overlay (qcow2 over a file that no folder lists) ─> the drive's own image, only read

The file is reached by this process's descriptor, and told of by the name that it had for a moment, as QEMU's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.layer import BlockLayer
    from qmpemu.machine.block.nodes import Node

UNSAFE = {"direct": False, "no-flush": True}
MOVED = ("detect-zeroes", "discard")
"""Options that are the overlay's and not the image's."""


class Temporary(str):
    """A path by a descriptor. told: the name that clients are told."""

    __slots__ = ("told",)

    told: str


def below(options: dict[str, object]) -> dict[str, object]:
    """Options of the image, which is only read."""
    return {**{name: value for name, value in options.items() if name not in MOVED}, "read-only": True}


def put_over(layer: BlockLayer, node: Node, given: dict[str, object]) -> Node:
    """Add an overlay to an image. given: the drive's own options. Raises Refused."""
    blocks = layer.blocks
    file = layer.host.temporary_image(node.image.virtual_bytes)
    options: dict[str, object] = {
        "driver": "qcow2",
        "node-name": blocks.anonymous(),
        **{name: given[name] for name in MOVED if name in given},
        "cache": UNSAFE,
        "file": {"driver": "file", "filename": file, "node-name": blocks.anonymous(), "cache": UNSAFE},
        "backing": node.name,
    }
    if given.get("read-only"):
        options["read-only"] = True
    blocks.temporary[str(file)] = file.told
    over = layer.store.open(options, here=True)
    blocks.loose.add(over.name)
    return over
