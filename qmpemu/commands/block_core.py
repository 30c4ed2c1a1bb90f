"""QAPI module `block-core`: what devices and nodes show. Real block work is not emulated yet and says so."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.machine.block import PROTOCOLS, Drive, Node
from qmpemu.qmp.errors import QmpError, not_emulated
from qmpemu.qmp.later import Later


@command("blockdev-add")
def blockdev_add(ctx: Context, **options: object) -> object:
    """Add a node: `null-co`, or `blkdebug` over it, which blocks while its configuration comes from a FIFO."""
    if options["driver"] not in ("null-co", "blkdebug"):
        raise not_emulated("blockdev-add")
    blocks = ctx.machine.blocks
    named = {name.replace("_", "-"): value for name, value in options.items()}
    blocks.check_name(named.get("node-name"))
    if named["driver"] == "null-co" or "config" not in named:
        blocks.add_node(named)
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

    if not ctx.machine.host.read_file(str(named["config"]), add):
        return later
    if isinstance(later.outcome, QmpError):
        raise later.outcome
    return later.outcome


@command("blockdev-del")
def blockdev_del(ctx: Context, *, node_name: str) -> object:
    """Remove a node."""
    ctx.machine.blocks.remove(node_name)
    return {}


@command("query-block")
def query_block(ctx: Context) -> object:
    """-> one BlockInfo per drive."""
    return [_drive_info(drive) for drive in ctx.machine.blocks.drives]


@command("query-named-block-nodes")
def query_named_block_nodes(ctx: Context, *, flat: bool = False) -> object:
    """-> one BlockDeviceInfo per node, newest first. flat: without backing images; no node has one here."""
    return [_node_info(node) for node in reversed(ctx.machine.blocks.nodes.values())]


@command("query-blockstats")
def query_blockstats(ctx: Context, *, query_nodes: bool = False) -> object:
    """-> one BlockStats per drive, or per node. The simulated guest's disk traffic is not counted yet: all is 0."""
    if query_nodes:
        return [_node_stats(node) for node in ctx.machine.blocks.nodes.values()]
    return [_drive_stats(drive) for drive in ctx.machine.blocks.drives]


def _drive_info(drive: Drive) -> dict[str, object]:
    info: dict[str, object] = {
        "io-status": "ok",
        "device": "",
        "locked": False,
        "removable": drive.removable,
        "qdev": drive.qdev,
        "type": "unknown",
    }
    if drive.node is not None:
        info["inserted"] = _node_info(drive.node)
    if drive.removable:
        info["tray_open"] = drive.tray_open
    return info


def _node_info(node: Node) -> dict[str, object]:
    throttle = dict.fromkeys(("iops", "iops_rd", "iops_wr", "bps", "bps_rd", "bps_wr"), 0)
    cache = node.options.get("cache")
    asked = cache if isinstance(cache, dict) else {}
    return {
        **throttle,
        "detect_zeroes": node.options.get("detect-zeroes", "off"),
        "image": _image_info(node),
        "ro": node.read_only,
        "node-name": node.name,
        "backing_file_depth": 1 if node.driver == "blkdebug" else 0,
        "drv": node.driver,
        "write_threshold": 0,
        "encrypted": False,
        "cache": {
            "writeback": True,
            "direct": asked.get("direct", False),
            "no-flush": asked.get("no-flush", False),
        },
        "file": node.path,
    }


COUNTERS = """
    rd_bytes wr_bytes unmap_bytes rd_operations wr_operations flush_operations unmap_operations rd_total_time_ns
    wr_total_time_ns flush_total_time_ns unmap_total_time_ns wr_highest_offset rd_merged wr_merged unmap_merged
    failed_rd_operations failed_wr_operations failed_flush_operations failed_unmap_operations
    invalid_rd_operations invalid_wr_operations invalid_flush_operations invalid_unmap_operations
""".split()


def _stats(*, accounted: bool) -> dict[str, object]:
    flags = {"account_invalid": accounted, "account_failed": accounted}
    return {**dict.fromkeys(COUNTERS, 0), **flags, "timed_stats": []}


def _node_stats(node: Node) -> dict[str, object]:
    info: dict[str, object] = {"node-name": node.name, "stats": _stats(accounted=False)}
    if node.file is not None:
        info["parent"] = _node_stats(node.file)
    if node.driver == "file":
        counts = dict.fromkeys(("discard-nb-ok", "discard-nb-failed", "discard-bytes-ok"), 0)
        info["driver-specific"] = {"driver": "file", **counts}
    return info


SECTOR_BYTES = 512
"""A node is as long as its last sector, be the file shorter."""


def _drive_stats(drive: Drive) -> dict[str, object]:
    info: dict[str, object] = {"device": "", "stats": _stats(accounted=True), "qdev": drive.qdev}
    if drive.node is not None:
        info["node-name"] = drive.node.name
        if drive.node.file is not None:
            info["parent"] = _node_stats(drive.node.file)
    return info


def _image_info(node: Node) -> dict[str, object]:
    image = node.image
    protocol = node.driver in PROTOCOLS
    info: dict[str, object] = {
        "virtual-size": -(-image.file_bytes // SECTOR_BYTES) * SECTOR_BYTES
        if protocol
        else image.virtual_bytes,
        "filename": node.path,
        "format": node.driver,
    }
    if node.driver == "blkdebug" and node.file is not None:
        return {**info, "backing-image": _image_info(node.file)}
    info["actual-size"] = image.actual_bytes
    if node.driver == "null-co":
        return info
    info["dirty-flag"] = False
    if image.cluster_bytes is not None and not protocol:
        info["cluster-size"] = image.cluster_bytes
    if image.details is not None and not protocol:
        info["format-specific"] = {"type": node.driver, "data": image.details}
    return info
