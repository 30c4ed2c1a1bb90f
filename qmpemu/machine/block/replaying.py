"""What makes a machine's graph anew in a real block layer that has just been started."""

from __future__ import annotations

from qmpemu.machine.block import inactive
from qmpemu.machine.block.names import made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.astray import Astray
    from qmpemu.machine.block.graph import Blocks

Step = tuple[str, dict[str, object]]
"""A command and its arguments."""
OBJECTS = tuple(
    "secret secret_keyring throttle-group tls-creds-x509 tls-creds-psk tls-creds-anon authz-simple authz-list".split()
)
"""User objects that nodes and exports refer to."""


def steps(blocks: Blocks, astray: Astray, objects: list[dict[str, object]]) -> list[Step]:
    """Objects, nodes, and what is watched of them, each after those that it refers to."""
    astray.look()
    nodes = [astray.options(each) for each in inactive.only_read(blocks, blocks.replayed())]
    blocks.renamed = blocks.renamed.union(*map(made, nodes))
    watched = [
        ("block-set-write-threshold", {"node-name": name, "write-threshold": node.write_threshold})
        for name, node in blocks.nodes.items()
        if node.write_threshold and not node.implicit
    ]
    needed: list[Step] = [("object-add", each) for each in objects if each.get("qom-type") in OBJECTS]
    return [*needed, *(("blockdev-add", options) for options in nodes), *watched]
