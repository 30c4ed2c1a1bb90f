"""`commit` of the human monitor: what is in an overlay goes into the image below it, and the overlay is empty again.

The real block layer has no such command: it lets go of the images, and qemu-img does it. Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.shown import options_of
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.machine import Machine

CANNOT = "Operation not supported"
BUSY = "block jobs or exports use the disks: end them first"
LOST = "bitmaps that are not kept in an image would be lost: remove them first"


def commit(machine: Machine, nodes: list[Node]) -> None:
    """Commit overlays, one after the other. Raises Refused or QmpError, and then those before have been committed."""
    from json import dumps

    was_up = machine.store_up
    if was_up:
        _may_close(machine)
        machine.store.close()
    machine.blocks.locks.give()
    try:
        for node in nodes:
            machine.host.commit_image("json:" + dumps(options_of(node)))
    finally:
        machine.blocks.locks.take_back()
        machine.blocks.look_again()
        if was_up:
            machine.store.start()


def _may_close(machine: Machine) -> None:
    if machine.store.busy:
        raise Refused(BUSY)
    rows: Any = machine.store.do("query-named-block-nodes", {"flat": True})
    if isinstance(rows, QmpError):
        raise rows
    if any(not bitmap["persistent"] for row in rows for bitmap in row.get("dirty-bitmaps", ())):
        raise Refused(LOST)
