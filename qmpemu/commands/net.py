"""QAPI module `net`: back ends of network cards, links, receive filters."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.devices.netfilter import NicFilterChanged, receive_filter
from qmpemu.qmp.errors import QmpError, device_not_found


@command("netdev_add")
def netdev_add(ctx: Context, *, id: str, type: str, **options: object) -> object:
    """Add a back end for a network card."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    ctx.machine.netdevs.add({"id": id, "type": type, **named})
    return {}


@command("netdev_del")
def netdev_del(ctx: Context, *, id: str) -> object:
    """Remove a back end."""
    ctx.machine.netdevs.remove(id)
    return {}


@command("set_link")
def set_link(ctx: Context, *, name: str, up: bool) -> object:
    """Take the link of a card or back end up or down; the guest sees it."""
    netdevs = ctx.machine.netdevs
    nic = next((each for each in ctx.machine.plugging.nics() if each.id == name), None)
    if name in netdevs.all:
        netdevs.all[name].link_up = up
        nic = netdevs.all[name].nic if nic is None else nic
    elif nic is None:
        raise device_not_found(name)
    if nic is not None:
        (netdevs.down.discard if up else netdevs.down.add)(nic.path)
    return {}


@command("query-rx-filter")
def query_rx_filter(ctx: Context, *, name: str | None = None) -> object:
    """-> what each virtio network card lets in; from then on its next change is told again."""
    nics = [each for each in ctx.machine.plugging.nics() if name in (None, each.id)]
    if name is not None and not nics:
        raise QmpError(f"invalid net client name: {name}")
    shown = [each for each in nics if each.kind.startswith("virtio-net")]
    if name is not None and not shown:
        raise QmpError(f"net client({name}) doesn't support rx-filter querying")
    for each in shown:
        ctx.machine.plugging.filters.asked(each)
    return [receive_filter(each, programmed=ctx.machine.plugging.filters.programmed(each)) for each in shown]


@event(NicFilterChanged, "NIC_RX_FILTER_CHANGED")
def nic_rx_filter_changed(fact: NicFilterChanged) -> dict[str, object]:
    """The guest has told a card what to let in; not told again before somebody has looked."""
    return {"name": fact.id, "path": fact.path}
