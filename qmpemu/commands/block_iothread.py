"""QAPI module `block-core`: x-blockdev-set-iothread, which moves a node out of the main thread. No node works here."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node


@command("x-blockdev-set-iothread")
def x_blockdev_set_iothread(
    ctx: Context, *, node_name: str, iothread: str | None, force: bool = False
) -> object:
    """Refused where a drive is on the node, as it cannot follow."""
    machine = ctx.machine
    node = machine.blocks.nodes.get(node_name)
    if node is None:
        raise QmpError(f"Failed to find node with node-name='{node_name}'")
    if not force and any(drive.node is node for drive in machine.blocks.drives):
        raise QmpError(
            f"Node {node_name} is associated with a BlockBackend and could be in use (use force=true to override "
            "this check)"
        )
    if iothread is None:
        return {}
    found = machine.objects.all.get(iothread)
    if found is None or found.kind != "iothread":
        raise QmpError(f"Cannot find iothread {iothread}")
    if _is_driven(machine.blocks, node):
        raise QmpError("Cannot change iothread of active block backend")
    return {}


def _is_driven(blocks: Blocks, node: Node) -> bool:
    """Whether a drive is on it, or on a node above it."""
    return any(drive.node is node for drive in blocks.drives) or any(
        _is_driven(blocks, each) for each in blocks.nodes.values() if node in (each.file, each.backing)
    )
