"""QAPI module `block-export`: NBD servers and exports, all in the real block layer."""

from __future__ import annotations

from qmpemu.commands.block_core import real, real_commands
from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.block.happened import BlockExportDeleted
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

real_commands("nbd-server-add", "block-export-add", shared=False)
real_commands("nbd-server-stop", "nbd-server-remove", "block-export-del")


@command("nbd-server-start")
def nbd_server_start(ctx: Context, **arguments: Any) -> object:
    """Serve NBD at an address; the daemon that does so takes no listening descriptor."""
    if arguments["addr"]["type"] == "fd":
        name = arguments["addr"]["data"]["str"]
        if name not in ctx.machine.named_fds:
            raise QmpError(f"File descriptor named '{name}' has not been found")
        raise not_emulated("nbd-server-start fd")
    return real(ctx, "nbd-server-start", {key.replace("_", "-"): value for key, value in arguments.items()})


@command("query-block-exports")
def query_block_exports(ctx: Context) -> object:
    """-> every export."""
    if not ctx.machine.store_up:
        return []
    return ctx.machine.store.ask("query-block-exports", {}, _of_clients)


def _of_clients(rows: Any) -> object:
    """Those that clients have made."""
    from qmpemu.machine.block.holders import OWN

    return [row for row in rows if not row["id"].startswith(OWN)]


@event(BlockExportDeleted, "BLOCK_EXPORT_DELETED")
def export_deleted(fact: BlockExportDeleted) -> dict[str, object]:
    """As the real block layer told it."""
    return fact.told
