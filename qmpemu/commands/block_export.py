"""QAPI module `block-export`: NBD servers and exports, all in the real block layer."""

from __future__ import annotations

from qmpemu.commands.block_core import real_commands
from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.block.happened import BlockExportDeleted

real_commands("nbd-server-start", "nbd-server-add", "block-export-add", shared=False)
real_commands("nbd-server-stop", "nbd-server-remove", "block-export-del")


@command("query-block-exports")
def query_block_exports(ctx: Context) -> object:
    """-> every export."""
    store = ctx.machine.store
    return store.ask("query-block-exports", {}) if store.up else []


@event(BlockExportDeleted, "BLOCK_EXPORT_DELETED")
def export_deleted(fact: BlockExportDeleted) -> dict[str, object]:
    """As the real block layer told it."""
    return fact.told
