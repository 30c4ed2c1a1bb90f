"""QAPI module `transaction`: several actions, all or none. The real block layer does them."""

from __future__ import annotations

from qmpemu.commands.block_core import of_nodes, real
from qmpemu.commands.registry import Context, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("transaction")
def transaction(ctx: Context, *, actions: list[Any], properties: dict[str, object] | None = None) -> object:
    """Run `actions` together."""
    arguments: dict[str, object] = {"actions": actions}
    if properties is not None:
        arguments["properties"] = properties
    return real(ctx, "transaction", of_nodes(ctx, "transaction", arguments))
