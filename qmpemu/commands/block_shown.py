"""How drives and nodes show while all is answered from the graph (BlockInfo, BlockDeviceInfo, BlockStats)."""

from __future__ import annotations

from qmpemu.machine.block.locks import PROTOCOLS
from qmpemu.machine.block.nodes import Drive, Node


def _limit(info: dict[str, object], drive: Drive) -> None:
    """Show a drive's limits and cache with what is in it; query-named-block-nodes does not (measured)."""
    info.update(drive.throttle)
    for name in drive.throttle:
        if name.endswith("_max"):
            info.setdefault(f"{name}_length", 1)
    cache = info["cache"]
    if drive.write_through and isinstance(cache, dict):
        info["cache"] = {**cache, "writeback": False}
    if drive.group is not None:
        info["group"] = drive.group


def drive_info(drive: Drive, inserted: dict[str, object] | None) -> dict[str, object]:
    """BlockInfo of a drive. inserted: BlockDeviceInfo of the node in it."""
    info: dict[str, object] = {
        "io-status": drive.io_status,
        "device": drive.name,
        "locked": False,
        "removable": drive.removable,
        "qdev": drive.qdev,
        "type": "unknown",
    }
    if not drive.has_status:
        del info["io-status"]
    if not drive.qdev:
        del info["qdev"]
    if inserted is not None:
        _limit(inserted, drive)
        info["inserted"] = inserted
    if drive.removable and drive.has_tray:
        info["tray_open"] = drive.tray_open
    return info


def node_info(node: Node, *, flat: bool = False) -> dict[str, object]:
    """BlockDeviceInfo of a node. flat: without the images below it."""
    throttle = dict.fromkeys(("iops", "iops_rd", "iops_wr", "bps", "bps_rd", "bps_wr"), 0)
    cache = node.options.get("cache")
    asked = cache if isinstance(cache, dict) else {}
    return {
        **throttle,
        "detect_zeroes": node.options.get("detect-zeroes", "off"),
        "image": _image_info(node, flat=flat),
        "ro": node.read_only,
        "node-name": node.name,
        **({"backing_file": node.backing.shown_path} if node.backing is not None else {}),
        "backing_file_depth": 0 if flat else _depth(node),
        "drv": node.driver,
        "write_threshold": node.write_threshold,
        "encrypted": False,
        "cache": {
            "writeback": True,
            "direct": asked.get("direct", False),
            "no-flush": asked.get("no-flush", False),
        },
        "file": node.shown_path,
    }


def _depth(node: Node) -> int:
    if node.backing is not None:
        return 1 + _depth(node.backing)
    return 1 if node.driver == "blkdebug" else 0


FILTERS = ("copy-on-read", "throttle", "blkdebug", "preallocate", "compress", "blklogwrites", "blkreplay")
"""Drivers that are filters to QEMU."""
COUNTERS = """
    rd_bytes wr_bytes unmap_bytes rd_operations wr_operations flush_operations unmap_operations rd_total_time_ns
    wr_total_time_ns flush_total_time_ns unmap_total_time_ns wr_highest_offset rd_merged wr_merged unmap_merged
    failed_rd_operations failed_wr_operations failed_flush_operations failed_unmap_operations
    invalid_rd_operations invalid_wr_operations invalid_flush_operations invalid_unmap_operations
""".split()


def _stats(*, accounted: bool) -> dict[str, object]:
    flags = {"account_invalid": accounted, "account_failed": accounted}
    return {**dict.fromkeys(COUNTERS, 0), **flags, "timed_stats": []}


def node_stats(node: Node, *, of_drive: bool = False) -> dict[str, object]:
    """BlockStats of a node and of those below it. of_drive: with its backing chain, as only a drive's have it."""
    stats = _stats(accounted=False) | {"wr_highest_offset": node.highest}
    info: dict[str, object] = {"node-name": node.name, "stats": stats}
    info.update(_below(node) if of_drive else {} if node.file is None else {"parent": node_stats(node.file)})
    if node.driver in ("file", "host_device"):
        counts = dict.fromkeys(("discard-nb-ok", "discard-nb-failed", "discard-bytes-ok"), 0)
        info["driver-specific"] = {"driver": node.driver, **counts}
    return info


def _below(node: Node) -> dict[str, object]:
    """What is below a node of a drive's; a filter's file is shown in both places."""
    backing = node.file if node.driver in FILTERS else node.backing
    below = {"parent": node.file, "backing": backing}
    return {name: node_stats(each, of_drive=True) for name, each in below.items() if each is not None}


SECTOR_BYTES = 512
"""A node is as long as its last sector, be the file shorter."""


def drive_stats(drive: Drive, now_ns: int) -> dict[str, object]:
    """BlockStats of a drive: what the simulated guest did. now_ns: the host's time."""
    stats = {**_stats(accounted=True), **drive.counts.shown(now_ns), **_histograms(drive)}
    info: dict[str, object] = {"device": drive.name, "stats": stats}
    if drive.qdev:
        info["qdev"] = drive.qdev
    if drive.node is not None:
        stats["wr_highest_offset"] = drive.node.highest
        info["node-name"] = drive.node.name
        info.update(_below(drive.node))
    return info


HISTOGRAMS = {
    "read": "rd_latency_histogram",
    "write": "wr_latency_histogram",
    "flush": "flush_latency_histogram",
}


def _histograms(drive: Drive) -> dict[str, object]:
    """The simulated guest's accesses are not timed: nothing is in them."""
    return {
        HISTOGRAMS[kind]: {"boundaries": boundaries, "bins": [0] * (len(boundaries) + 1)}
        for kind, boundaries in drive.histograms.items()
    }


def _image_info(node: Node, *, flat: bool = False) -> dict[str, object]:
    image = node.image
    protocol = node.driver in PROTOCOLS
    info: dict[str, object] = {
        "virtual-size": -(-image.file_bytes // SECTOR_BYTES) * SECTOR_BYTES
        if protocol
        else image.virtual_bytes,
        "filename": node.shown_path,
        "format": node.driver,
    }
    if node.driver == "blkdebug" and node.file is not None:
        return {**info, "backing-image": _image_info(node.file)}
    if image.backing is not None and not protocol:
        path, form = image.backing
        info["backing-filename"] = image.backing_name
        if image.names_format:
            info["backing-filename-format"] = form
        info["full-backing-filename"] = path
    if node.backing is not None and not flat:
        info["backing-image"] = _image_info(node.backing)
    info["actual-size"] = image.actual_bytes
    if node.driver == "null-co" or (node.file is not None and node.file.driver == "null-co"):
        return info
    info["dirty-flag"] = False
    if image.cluster_bytes is not None and not protocol:
        info["cluster-size"] = image.cluster_bytes
    if image.snapshots and not protocol:
        info["snapshots"] = image.snapshots
    if image.details is not None and not protocol:
        info["format-specific"] = {"type": node.driver, "data": image.details}
    return info
