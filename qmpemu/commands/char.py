"""QAPI module `char`: character devices and the events of virtio-serial ports."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.ghash import listed
from qmpemu.machine.machine import PortOpened
from qmpemu.qmp.errors import QmpError


@command("query-chardev")
def query_chardev(ctx: Context) -> object:
    """-> label, filename and whether a front end holds it, for each character device."""
    return [
        {"label": chardev.label, "filename": chardev.describe(), "frontend-open": chardev.frontend_open}
        for chardev in map(ctx.machine.chardevs.__getitem__, listed(ctx.machine.chardevs))
    ]


@command("query-yank")
def query_yank(ctx: Context) -> list[dict[str, object]]:
    """-> one instance per socket character device: its connection can be torn down."""
    sockets = [chardev for chardev in ctx.machine.chardevs.values() if chardev.backend == "socket"]
    return [{"type": "chardev", "id": chardev.label} for chardev in sockets]


@command("yank")
def yank(ctx: Context, *, instances: list[dict[str, object]]) -> object:
    """Tear connections down; nothing happens unless all of them are there."""
    known = {("chardev", row["id"]) for row in query_yank(ctx)}
    wanted = [(each["type"], each.get("id")) for each in instances]
    if any(each not in known for each in wanted):
        raise QmpError("Instance not found", "DeviceNotFound")
    for _, label in wanted:
        ctx.machine.chardevs[str(label)].yank()
    return {}


@event(PortOpened, "VSERPORT_CHANGE")
def vserport_change(fact: PortOpened) -> dict[str, object]:
    """A program in the guest opened or closed the port `id`."""
    return {"id": fact.id, "open": fact.open}
