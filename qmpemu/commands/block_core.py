"""QAPI module `block-core`: what devices and nodes show, and the way of real block work to the real block layer.

Until a command needs real blocks everything is answered from the graph (`machine.block`). From then on nodes are
what the real block layer says they are, overlaid with what only devices know.
"""

from __future__ import annotations

from qmpemu.commands.block_shown import drive_info, node_info
from qmpemu.commands.registry import Context, command, event
from qmpemu.core.table import Refused
from qmpemu.machine.block.disk_errors import DiskFailed
from qmpemu.machine.block.filters import Chains, without_filters
from qmpemu.machine.block.happened import (
    BlockFact,
    ImageCorrupted,
    QuorumFailed,
    QuorumReported,
    WriteThresholdExceeded,
)
from qmpemu.machine.block.inactive import READ_ONLY, is_only_read
from qmpemu.machine.block.locks import PROTOCOLS
from qmpemu.machine.block.names import check_drives, check_name, check_root
from qmpemu.machine.host import NeedsOpening
from qmpemu.qmp.errors import QmpError, not_emulated
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.block.store import Store


def real(ctx: Context, name: str, arguments: dict[str, object]) -> Later:
    """Let the real block layer do it. Raises Refused where there is none."""
    return ctx.machine.block_layer.needed().ask(name, arguments)


def refuse_unknown(ctx: Context, name: str, arguments: dict[str, object]) -> None:
    """Nothing real has been made yet: what names nothing of this machine is refused as recorded. Raises QmpError."""
    if not ctx.machine.knows_any_of(arguments):
        refusal = ctx.profile.refusal(name, arguments)
        if refusal is not None:
            raise QmpError(refusal.desc, refusal.cls)


def _checked_first(name: str, given: dict[str, Any]) -> None:
    """What the real one refuses before it looks for the node, and what its daemon refuses otherwise. Raises Refused."""
    if name == "blockdev-create" and given["options"]["driver"] == "blkreplay":
        raise Refused("Driver does not support blockdev-create")
    if name == "block-dirty-bitmap-add" and not given.get("name"):
        raise Refused("Bitmap name cannot be empty")
    if name == "block-stream":
        for one, other in (("base", "base-node"), ("base", "bottom"), ("bottom", "base-node")):
            if one in given and other in given:
                raise Refused(f"'{one}' and '{other}' cannot be specified at the same time")


def real_commands(*names: str, shared: bool = True) -> None:
    """Register commands that the real block layer does. shared: their refusals are known without it."""
    for name in names:
        _real_command(name, shared)


def _real_command(name: str, shared: bool) -> None:
    @command(name)
    def run(ctx: Context, **arguments: object) -> object:
        given = {key.replace("_", "-"): value for key, value in arguments.items()}
        given = of_nodes(ctx, name, given)
        _checked_first(name, given)
        if name == "block_resize" and int(str(given["size"])) >= 0:
            from qmpemu.machine.block.guards import refuse_resize

            refuse_resize(ctx.machine.blocks, str(given.get("node-name")))
        if ctx.machine.has_own_job(given.get("job-id")):
            raise QmpError(f"Job ID '{given['job-id']}' already in use")
        if name == "blockdev-create" and is_only_read(ctx.machine.blocks, given["options"]):  # type: ignore[arg-type]
            if ctx.machine.store.has_job(str(given["job-id"])):
                raise QmpError(f"Job ID '{given['job-id']}' already in use")
            ctx.machine.own_jobs.fail(str(given["job-id"]), "create", READ_ONLY)
            return {}
        if name == "blockdev-reopen" and not given["options"]:  # ends the real one, the daemon too
            return {}
        if shared and not ctx.machine.store_up:
            refuse_unknown(ctx, name, given)
        return _of_device(real(ctx, name, given), arguments.get("device") if name == "block_resize" else None)


def _of_device(later: Later, device: object) -> Later:
    """The same, where what is wrong tells of a device that the real block layer does not know."""
    if device is None:
        return later
    told = Later()

    def done(outcome: object) -> None:
        if isinstance(outcome, QmpError):
            outcome = QmpError(outcome.desc.replace("'(null)'", f"'{device}'"), outcome.cls)
        told.finish(outcome)

    later.when_finished(done)
    return told


def of_nodes(ctx: Context, name: str, given: dict[str, object]) -> dict[str, object]:
    """The arguments of a command with nodes for drives of the old kind. Raises Refused."""
    if not ctx.machine.blocks.has_names:
        return given
    from qmpemu.machine.block.by_node import by_node

    def top(node: Node) -> str:
        working = ctx.machine.store.working if ctx.machine.store_up else None
        return node.name if working is None or working.kind(node) is None else working.filter(node)

    return by_node(ctx.machine.blocks, name, given, top)


real_commands("blockdev-create", shared=False)
real_commands(
    *"""
    block-commit block-stream block-dirty-bitmap-add block-dirty-bitmap-clear block-dirty-bitmap-disable
    block-dirty-bitmap-enable block-dirty-bitmap-merge block-dirty-bitmap-remove blockdev-backup blockdev-mirror
    blockdev-reopen blockdev-snapshot blockdev-snapshot-internal-sync blockdev-snapshot-delete-internal-sync
    block_resize block-set-write-threshold change-backing-file x-debug-block-dirty-bitmap-sha256
    blockdev-snapshot-sync drive-mirror drive-backup x-blockdev-amend x-blockdev-change
    """.split()
)


@event(ImageCorrupted, "BLOCK_IMAGE_CORRUPTED")
@event(QuorumFailed, "QUORUM_FAILURE")
@event(QuorumReported, "QUORUM_REPORT_BAD")
@event(WriteThresholdExceeded, "BLOCK_WRITE_THRESHOLD")
def node_told(fact: BlockFact) -> dict[str, object]:
    """As the real block layer told it."""
    return fact.told


@event(DiskFailed, "BLOCK_IO_ERROR")
def disk_failed(fact: DiskFailed) -> dict[str, object]:
    """Where, at what, and what becomes of it."""
    return {
        "device": fact.device,
        "node-name": fact.node,
        "operation": fact.operation,
        "action": fact.action,
        "nospace": fact.no_space,
        "reason": fact.reason,
    }


@command("blockdev-add")
def blockdev_add(ctx: Context, **options: object) -> object:
    """Add a node; `blkdebug` blocks while its configuration comes from a FIFO."""
    machine = ctx.machine
    blocks = machine.blocks
    named = {name.replace("_", "-"): value for name, value in options.items()}
    if "node-name" not in named or named["driver"] in WITHOUT_DAEMON:
        check_root(named.get("node-name"))  # of others, whether there is such a driver is asked first
    if blocks.has_names:
        check_drives(blocks, named)
    if machine.store_up or named["driver"] not in WITHOUT_DAEMON or _needs_daemon(blocks, named):
        return _add_real(ctx, named)
    if named["driver"] == "blkdebug":
        check_name(blocks, named["node-name"])
    if named["driver"] != "blkdebug" or "config" not in named:
        try:
            blocks.add_node(named)
        except NeedsOpening:
            return _add_real(ctx, named)
        return {}
    later = Later()

    def add(content: bytes | OSError) -> None:
        if isinstance(content, OSError):
            later.finish(QmpError(f"Could not read blkdebug config file: {content.strerror}"))
        elif content.strip():
            later.finish(not_emulated("blockdev-add"))
        else:
            blocks.add_node(named)
            later.finish({})

    if not machine.host.read_file(str(named["config"]), add):
        return later
    if isinstance(later.outcome, QmpError):
        raise later.outcome
    return later.outcome


def _needs_daemon(blocks: Blocks, named: dict[str, Any]) -> bool:
    """Whether it is a raw node, or one for errors, over another format."""
    if named["driver"] not in ("raw", "blkdebug"):
        return False
    file = named.get("file", named.get("image"))
    below = blocks.nodes.get(file) if isinstance(file, str) else None
    return below is not None and below.driver not in WHOLE


WHOLE = ("null-co", *PROTOCOLS)
WITHOUT_DAEMON = ("null-co", "blkdebug", "raw", "qcow2", *PROTOCOLS)
"""Drivers whose nodes need nobody to open them."""


def _add_real(ctx: Context, named: dict[str, object]) -> Later:
    def added(result: object) -> object:
        try:
            ctx.machine.blocks.take_node(named)
        except Refused as refused:
            ctx.machine.store.drop(str(named["node-name"]))
            return QmpError(str(refused))
        return result

    return ctx.machine.block_layer.needed().ask("blockdev-add", named, added)


@command("blockdev-del")
def blockdev_del(ctx: Context, *, node_name: str) -> object:
    """Remove a node."""
    blocks = ctx.machine.blocks
    node = blocks.nodes.get(node_name)
    if not ctx.machine.store_up:
        blocks.remove(node_name)
        return {}
    drives = [drive for drive in blocks.drives if node is not None and drive.node is node]
    if any(not drive.held for drive in drives):
        raise QmpError(f"Node {node_name} is in use")
    if (
        node is not None
        and not drives
        and node_name in blocks.loose
        and all(node is not each.backing for each in blocks.nodes.values())
    ):
        raise QmpError(f"Node {node_name} is not owned by the monitor")

    def removed(result: object) -> object:
        blocks.forget(node_name)
        return result

    return ctx.machine.store.ask("blockdev-del", {"node-name": node_name}, removed)


@command("query-block")
def query_block(ctx: Context) -> object:
    """-> one BlockInfo per drive."""
    blocks = ctx.machine.blocks
    if not ctx.machine.store_up:
        return [
            drive_info(drive, None if drive.node is None else node_info(drive.node))
            for drive in blocks.drives
        ]

    store, later = ctx.machine.store, Later()

    def told(nodes: Any, chains: Chains | None) -> None:
        if isinstance(nodes, QmpError):
            later.finish(nodes)
            return
        known = {each["node-name"]: each for each in nodes}
        rows = []
        for drive in blocks.drives:
            row = None if drive.node is None else known.get(drive.node.name)
            if chains is not None and drive.node is not None:
                row = without_filters(known.get(chains.shown(blocks, drive.node.name)), nodes)
            rows.append(drive_info(drive, row))
        later.finish(rows)

    with_chains(store, told)
    return later


def with_chains(store: Store, told: Callable[[Any, Chains | None], object]) -> None:
    """Ask for all nodes, and where jobs run how they stand upon each other, with the jobs' filters.

    told: called with query-named-block-nodes' rows, or its error, and the chains.
    """

    def ask_nodes(graph: object) -> None:
        def found(nodes: object) -> None:
            known = isinstance(nodes, list) and isinstance(graph, dict)
            told(nodes, Chains(nodes, graph) if known else None)  # type: ignore[arg-type]  # known says so

        store.ask("query-named-block-nodes", {}).when_finished(found)

    if store.works:
        store.ask("x-debug-query-block-graph", {}).when_finished(ask_nodes)
    else:
        ask_nodes(None)


@command("query-named-block-nodes")
def query_named_block_nodes(ctx: Context, *, flat: bool = False) -> object:
    """-> one BlockDeviceInfo per node, newest first. flat: without backing images."""
    machine = ctx.machine
    if machine.store_up:
        return machine.store.ask("query-named-block-nodes", {"flat": flat})
    return [node_info(node, flat=flat) for node in reversed(machine.blocks.nodes.values())]


@command("block-set-write-threshold")
def block_set_write_threshold(ctx: Context, *, node_name: str, write_threshold: int) -> object:
    """Tell once when a write goes beyond this byte of a node, 0 never."""
    node = ctx.machine.blocks.nodes.get(node_name)
    if node is not None:
        ctx.machine.accounting.watch(node, write_threshold % (1 << 64))
        return {}
    given: dict[str, object] = {"node-name": node_name, "write-threshold": write_threshold}
    if not ctx.machine.store_up:
        refuse_unknown(ctx, "block-set-write-threshold", given)
    return real(ctx, "block-set-write-threshold", given)
