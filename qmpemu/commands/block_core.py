"""QAPI module `block-core`: what devices and nodes show. Real block work is not emulated yet and says so."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.machine.block import PROTOCOLS, Drive, Node


@command("query-block")
def query_block(ctx: Context) -> object:
    """-> one BlockInfo per drive."""
    return [_drive_info(drive) for drive in ctx.machine.blocks.drives]


@command("query-named-block-nodes")
def query_named_block_nodes(ctx: Context, *, flat: bool = False) -> object:
    """-> one BlockDeviceInfo per node, newest last. flat: without backing images; no node has one here."""
    return [_node_info(node) for node in ctx.machine.blocks.nodes.values()]


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
        "backing_file_depth": 0,
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


def _image_info(node: Node) -> dict[str, object]:
    image = node.image
    protocol = node.driver in PROTOCOLS
    info: dict[str, object] = {
        "virtual-size": image.file_bytes if protocol else image.virtual_bytes,
        "filename": node.path,
        "format": node.driver,
        "actual-size": image.actual_bytes,
        "dirty-flag": False,
    }
    if image.cluster_bytes is not None and not protocol:
        info["cluster-size"] = image.cluster_bytes
    if image.details is not None and not protocol:
        info["format-specific"] = {"type": node.driver, "data": image.details}
    return info
