"""What `info block` and `info block-jobs` of the human monitor show; texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.commands.hmp.block import when_told
from qmpemu.commands.hmp.words import Misread, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.commands.registry import Context
    from qmpemu.qmp.later import Later

LIMITS = """
    bps bps_rd bps_wr bps_max bps_rd_max bps_wr_max iops iops_rd iops_wr iops_max iops_rd_max iops_wr_max iops_size
""".split()


def block(ctx: Context, words: list[str]) -> str | Later:
    """One paragraph a drive, or with -n a node; a name: only what is called so."""
    try:
        given = read("block", "nodes:!n verbose:!v device:B?", words)
    except Misread as error:
        return f'{error}\r\nTry "help info block" for more information\r\n'
    drive, node = (_verbose(ctx, _drive), _verbose(ctx, _node)) if "verbose" in given else (_drive, _node)
    if "nodes" not in given and "device" not in given:
        return when_told(ctx.commands("query-block", {}), lambda rows: _called(rows, "device", None, drive))
    wanted = given.get("device")
    if "nodes" not in given and ctx.machine.blocks.named(wanted) is not None:
        return when_told(ctx.commands("query-block", {}), lambda rows: _called(rows, "device", wanted, drive))

    def nodes(rows: Any) -> str:
        return _called(rows, "node-name", wanted, node)

    return when_told(ctx.commands("query-named-block-nodes", {}), nodes)


def _called(rows: Any, key: str, wanted: str | None, shown: Callable[[Any], str]) -> str:
    """Those that are called so, an empty line before each that is not the first of all."""
    return "".join(
        ("\r\n" if place else "") + shown(row) for place, row in enumerate(rows) if wanted in (None, row[key])
    )


def _verbose(ctx: Context, shown: Callable[[Any], str]) -> Callable[[Any], str]:
    """With what is in the images."""
    from qmpemu.commands.hmp.image_info import images

    def show(row: Any) -> str:
        inserted = row.get("inserted") if "device" in row else row
        return shown(row) + (
            "" if inserted is None else images(inserted["image"], ctx.machine.host.local_time)
        )

    return show


def _drive(row: Any) -> str:
    inserted = row.get("inserted")
    name = row["device"]
    if not name:
        name = row["qdev"] if inserted is None else inserted["node-name"]
    elif inserted is not None:
        name += f" ({inserted['node-name']})"
    lines = [f"{name}: {'[not inserted]' if inserted is None else _medium(inserted)}"]
    if "qdev" in row:
        lines.append(f"    Attached to:      {row['qdev']}")
    if row["removable"]:
        tray = "open" if row.get("tray_open") else "closed"  # also where there is none (measured)
        lines.append(f"    Removable device: not locked, tray {tray}")
    if inserted is not None:
        lines += _medium_lines(inserted)
    return "".join(f"{line}\r\n" for line in lines)


def _node(row: Any) -> str:
    lines = [f"{row['node-name']}: {_medium(row)}", *_medium_lines(row)]
    return "".join(f"{line}\r\n" for line in lines)


def _medium(row: Any) -> str:
    return f"{row['file']} ({row['drv']}{', read-only' if row['ro'] else ''})"


def _medium_lines(row: Any) -> list[str]:
    cache = row["cache"]
    mode = "writeback" if cache["writeback"] else "writethrough"
    mode += (", direct" if cache["direct"] else "") + (", ignore flushes" if cache["no-flush"] else "")
    lines = [f"    Cache mode:       {mode}"]
    if "backing_file" in row:
        lines.append(
            f"    Backing file:     {row['backing_file']} (chain depth: {row['backing_file_depth']})"
        )
    if row["detect_zeroes"] != "off":
        lines.append(f"    Detect zeroes:    {row['detect_zeroes']}")
    if any(row.get(name) for name in ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")):
        limits = " ".join(f"{name}={row.get(name, 0)}" for name in LIMITS)
        lines.append(f"    I/O throttling:   {limits} group={row.get('group', '')}")
    return lines


COUNTS = """
    rd_bytes wr_bytes rd_operations wr_operations flush_operations wr_total_time_ns rd_total_time_ns
    flush_total_time_ns rd_merged wr_merged idle_time_ns
""".split()


def stats(ctx: Context) -> str | Later:
    """A line of counts for each drive; only such a one as -drive makes has a name."""

    def shown(rows: Any) -> str:
        return "".join(f"{row['device']}: {_counts(row['stats'])}\r\n" for row in rows)

    return when_told(ctx.commands("query-blockstats", {}), shown)


def _counts(given: Any) -> str:
    return " ".join(f"{name}={given.get(name, 0)}" for name in COUNTS)


def jobs(ctx: Context) -> str | Later:
    """Every block job, one a line."""

    def shown(rows: Any) -> str:
        return "".join(_job(row) for row in rows) or "No active jobs\r\n"

    return when_told(ctx.commands("query-block-jobs", {}), shown)


def _job(row: Any) -> str:
    what = "Streaming device" if row["type"] == "stream" else f"Type {row['type']}, device"
    done = f"Completed {row['offset']} of {row['len']} bytes"
    return f"{what} {row['device']}: {done}, speed limit {row['speed']} bytes/s\r\n"
