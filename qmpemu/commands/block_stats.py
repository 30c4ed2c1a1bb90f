"""QAPI module `block-core`: query-blockstats, from the graph and, where that runs, from the real block layer.

The real block layer counts what jobs write, and knows the filters that they put in; what a guest does it does not see.
"""

from __future__ import annotations

from qmpemu.commands.block_core import with_chains
from qmpemu.commands.block_shown import drive_stats, node_stats
from qmpemu.commands.registry import Context, command
from qmpemu.machine.block.filters import Chains
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.graph import Blocks

HIGHEST = "wr_highest_offset"
BELOW = ("parent", "backing")


@command("query-blockstats")
def query_blockstats(ctx: Context, *, query_nodes: bool = False) -> object:
    """-> one BlockStats per drive, or per node: what the simulated guest's accesses add up to."""
    machine, blocks = ctx.machine, ctx.machine.blocks
    if machine.store_up:
        store, later = machine.store, Later()

        def told(rows: object) -> None:
            if isinstance(rows, QmpError):
                later.finish(rows)
                return
            _written(blocks, rows)
            if query_nodes:
                later.finish(rows)
            elif not store.works:
                later.finish(_of_drives(ctx, rows, None))
            else:
                with_chains(store, lambda _, chains: later.finish(_of_drives(ctx, rows, chains)))

        store.ask("query-blockstats", {"query-nodes": True}).when_finished(told)
        return later
    if query_nodes:
        return [node_stats(node) for node in blocks.nodes.values()]
    return [drive_stats(drive, machine.host_ns()) for drive in blocks.drives]


def _of_drives(ctx: Context, rows: Any, chains: Chains | None) -> list[dict[str, object]]:
    """Rows of drives. chains: where jobs run."""
    known = {row["node-name"]: row for row in rows if "node-name" in row}
    blocks, made = ctx.machine.blocks, []
    for drive in blocks.drives:
        row: Any = drive_stats(drive, ctx.machine.host_ns())
        if drive.node is not None and chains is not None:
            row["node-name"] = chains.shown(blocks, drive.node.name)
            row = {
                **{name: value for name, value in row.items() if name not in BELOW},
                **_chain(row, known, chains),
            }
        _overlay(row, known)
        made.append(row)
    return made


def _chain(row: Any, known: dict[str, Any], chains: Chains) -> dict[str, object]:
    """What is below a row."""
    found: dict[str, object] = {}
    for key, name in chains.below(row["node-name"]).items():
        if name in known:
            plain = {member: value for member, value in known[name].items() if member not in BELOW}
            found[key] = {**plain, **_chain(plain, known, chains)}
    return found


def _overlay(row: Any, known: dict[str, Any]) -> None:
    """Put in what the real block layer has seen written, jobs say, and not a guest."""
    there = known.get(row.get("node-name"))
    if there is not None:
        if "parent" in row and "parent" in there:  # that of an overlay has the name that was made there
            row["parent"] = {**row["parent"], "node-name": there["parent"]["node-name"]}
        stats = row["stats"] = dict(row["stats"])
        stats[HIGHEST] = max(stats[HIGHEST], there["stats"][HIGHEST])
    for key in BELOW:
        if key in row:
            _overlay(row[key], known)


def _written(blocks: Blocks, rows: Any) -> None:
    """Put into the real block layer's rows what the guest has written, which it does not see."""
    for row in rows:
        while row is not None:
            node = blocks.nodes.get(str(row.get("node-name")))
            if node is not None:
                row["stats"][HIGHEST] = max(row["stats"][HIGHEST], node.highest)
            row = row.get("parent")
