"""What `info` shows of topics that take words, and of lists that are recorded. Texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.commands.hmp.words import Misread, read
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.commands.registry import Context

    Given = dict[str, str]

PARAMETERS = {
    "rocker": "name:s",
    "rocker-ports": "name:s",
    "rocker-of-dpa-flows": "name:s tbl_id:i?",
    "rocker-of-dpa-groups": "name:s type:i?",
    "stats": "target:s names:s? provider:s?",
    "trace-events": "name:s? vcpu:i?",
    "virtio-queue-element": "path:s queue:i index:i?",
    "virtio-queue-status": "path:s queue:i",
    "virtio-status": "path:s",
    "virtio-vhost-queue-status": "path:s queue:i",
}
TARGETS = ("vm", "vcpu")


def run(ctx: Context, name: str, words: list[str]) -> str | None:
    """Show a topic of this file; None if it is none of them."""
    if name not in PARAMETERS:
        return None
    try:
        given = read(name, PARAMETERS[name], words)
    except Misread as error:
        return f'{error}\r\nTry "help info {name}" for more information\r\n'
    return SHOWN.get(name, _rocker)(ctx, given)


def _rocker(ctx: Context, given: Given) -> str:
    """Switches of that kind are not emulated, so there is none of the name."""
    return f"Error: rocker {given['name']} not found\r\n"


def _stats(ctx: Context, given: Given) -> str:
    """Only KVM counts."""
    if given["target"] not in TARGETS:
        return f"invalid stats target {given['target']}\r\n"
    if given.get("provider", "kvm") != "kvm":
        return f"invalid stats provider {given['provider']}\r\n"
    if ctx.machine.config.accel == "kvm":
        return "qmpemu does not emulate the command 'info stats'\r\n"
    return ""


def _events(ctx: Context, given: Given) -> str:
    """Trace events; a QEMU that has one compiled out does not show it."""
    members: dict[str, object] = {"name": given.get("name", "*")}
    if "vcpu" in given:
        members["vcpu"] = int(given["vcpu"])
    try:
        rows: Any = ctx.commands("trace-event-get-state", members)
    except QmpError as error:
        return f"{error}\r\n"
    return "".join(f"{row['name']} : state 0\r\n" for row in rows)


def dirty_rate(ctx: Context) -> str:
    """The latest measurement."""
    row: Any = ctx.commands("query-dirty-rate", {})
    lines = [f"Status: {row['status']}", f"Start Time: {row['start-time']} (ms)"]
    if row["mode"] == "dirty-ring":
        lines.append("Sample Pages: 0 (per GB)")
    else:
        lines.append(f"Sample Pages: {row['sample-pages']} (per GB)")
    lines += [f"Period: {row['calc-time']} (sec)", f"Mode: {row['mode']}"]
    rate = f"{row['dirty-rate']} (MB/s)" if "dirty-rate" in row else "(not ready)"
    lines.append(f"Dirty rate: {rate}")
    return "".join(f"{line}\r\n" for line in lines)


def _virtio(name: str) -> Callable[[Context, Given], str]:
    """What a virtio device has with its driver: whose device is none is refused; of others it is not kept."""

    def shown(ctx: Context, given: Given) -> str:
        members: dict[str, object] = {"path": given["path"]}
        members |= {each: int(given[each]) for each in ("queue", "index") if each in given}
        try:
            ctx.commands(f"x-query-{name}", members)
        except QmpError as error:
            return f"Error: {error}\r\n"
        return ""

    return shown


SHOWN: dict[str, Callable[[Context, Given], str]] = {
    "stats": _stats,
    "trace-events": _events,
    **{name: _virtio(name) for name in PARAMETERS if name.startswith("virtio-")},
}
