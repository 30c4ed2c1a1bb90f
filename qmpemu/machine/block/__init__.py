"""The block layer: nodes and drives in memory (`graph`), real blocks by a back end that is started late (`store`).

start, queries, media, hot plug ──> graph
snapshot, commit, mirror, backup, NBD, ... ──> store ──BlockBackend──> a real block layer, given the graph first
"""

from __future__ import annotations

from qmpemu.machine.block.graph import Blocks
from qmpemu.machine.block.locks import PROTOCOLS
from qmpemu.machine.block.nodes import DISK_DRIVERS, Drive, Node, is_identifier

__all__ = ["DISK_DRIVERS", "PROTOCOLS", "Blocks", "Drive", "Node", "is_identifier"]
