"""QAPI module `char`: character devices and the events of virtio-serial ports."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.machine import PortOpened


@command("query-chardev")
def query_chardev(ctx: Context) -> object:
    """-> label, filename and whether a front end holds it, for each character device."""
    return [
        {"label": chardev.label, "filename": chardev.describe(), "frontend-open": chardev.frontend_open}
        for chardev in ctx.machine.chardevs.values()
    ]


@command("query-yank")
def query_yank(ctx: Context) -> object:
    """-> one instance per socket character device: its connection can be torn down."""
    sockets = [chardev for chardev in ctx.machine.chardevs.values() if chardev.backend == "socket"]
    return [{"type": "chardev", "id": chardev.label} for chardev in reversed(sockets)]


@event(PortOpened, "VSERPORT_CHANGE")
def vserport_change(fact: PortOpened) -> dict[str, object]:
    """A program in the guest opened or closed the port `id`."""
    return {"id": fact.id, "open": fact.open}
