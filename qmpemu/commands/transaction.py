"""QAPI module `transaction`: several actions, all or none. The real block layer does them."""

from __future__ import annotations

from qmpemu.commands.block_core import of_nodes, real
from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("transaction")
def transaction(ctx: Context, *, actions: list[Any], properties: dict[str, object] | None = None) -> object:
    """Run `actions` together."""
    _check(actions)
    arguments: dict[str, object] = {"actions": actions}
    if properties is not None:
        arguments["properties"] = properties
    return real(ctx, "transaction", of_nodes(ctx, "transaction", arguments))


def _check(actions: list[Any]) -> None:
    """The real block layer drops an overlay that it opened itself (`machine.block.opened`), its new bitmaps too."""
    overlays = [
        each["data"].get("snapshot-node-name") for each in actions if each["type"] == "blockdev-snapshot-sync"
    ]
    for each in actions:
        if each["type"].startswith("block-dirty-bitmap-") and each["data"].get("node") in overlays:
            raise QmpError(
                f"qmpemu does not emulate the action '{each['type']}' on the overlay of a blockdev-snapshot-sync in "
                "the same transaction; blockdev-snapshot takes both"
            )
