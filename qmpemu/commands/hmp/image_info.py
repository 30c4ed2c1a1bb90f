"""What `info block -v` shows of images, in the words that qemu-img has for them; texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.machine.block.snapshots import HEAD
from qmpemu.qmp.order import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
STEP = 1024
ROUNDED_UP = 1000
"""From here on a size is shown in the next unit: three digits are shown."""


def images(info: Any, local_time: Callable[[int], str]) -> str:
    """An image and those that it is over. info: an ImageInfo."""
    lines = ["", "Images:"]
    while info is not None:
        lines += _image(info, local_time)
        info = info.get("backing-image")
    return "".join(f"{line}\r\n" for line in lines)


def _image(info: Any, local_time: Callable[[int], str]) -> Iterator[str]:
    yield f"image: {info['filename']}"
    yield f"file format: {info['format']}"
    yield f"virtual size: {size(info['virtual-size'])} ({info['virtual-size']} bytes)"
    yield f"disk size: {size(info['actual-size']) if 'actual-size' in info else 'unavailable'}"
    if info.get("encrypted"):
        yield "encrypted: yes"
    if "cluster-size" in info:
        yield f"cluster_size: {info['cluster-size']}"
    if info.get("dirty-flag"):
        yield "cleanly shut down: no"
    if "backing-filename" in info:
        name, whole = info["backing-filename"], info.get("full-backing-filename")
        yield f"backing file: {name}{'' if whole in (None, name) else f' (actual path: {whole})'}"
    if "backing-filename-format" in info:
        yield f"backing file format: {info['backing-filename-format']}"
    if info.get("snapshots"):
        yield "Snapshot list:"
        yield HEAD.rstrip()
        for each in info["snapshots"]:
            yield _snapshot(each, local_time)
    if "format-specific" in info:
        yield "Format specific information:"
        yield from _members(info["format-specific"]["data"], 1)


def _snapshot(row: Any, local_time: Callable[[int], str]) -> str:
    seconds, ms = row["vm-clock-sec"], row["vm-clock-nsec"] // 1_000_000
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
    date, count = local_time(row["date-sec"]), row.get("icount", "")
    return f"{row['id']:<9} {row['name']:<16} {size(row['vm-state-size']):>8}{date:>20}{clock:>13}{count:>11}"


def _members(members: dict[str, object], depth: int) -> Iterator[str]:
    for name, value in ordered(members):
        begin = f"{'    ' * depth}{name.replace('-', ' ')}:"
        if isinstance(value, dict | list):
            yield begin
            yield from _members(_numbered(value), depth + 1)
        else:
            yield f"{begin} {str(value).lower() if isinstance(value, bool) else value}"


def _numbered(value: dict[str, object] | list[object]) -> dict[str, object]:
    return value if isinstance(value, dict) else {f"[{place}]": each for place, each in enumerate(value)}


def size(number: int) -> str:
    """With three digits: `8 MiB`."""
    shown, unit = float(number), 0
    while shown >= ROUNDED_UP and unit + 1 < len(UNITS):
        shown, unit = shown / STEP, unit + 1
    return f"{shown:.3g} {UNITS[unit]}B"
