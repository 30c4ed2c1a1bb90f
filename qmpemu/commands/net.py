"""QAPI module `net`: back ends of network cards, links, receive filters."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.core.facts import Fact
from qmpemu.core.options import is_identifier
from qmpemu.machine.devices.netfilter import NicFilterChanged, receive_filter
from qmpemu.qmp.errors import QmpError, device_not_found, not_emulated


@command("netdev_add")
def netdev_add(ctx: Context, *, id: str, type: str, **options: object) -> object:
    """Add a back end for a network card."""
    if not is_identifier(id):
        raise QmpError("Parameter 'id' expects an identifier")
    if type in LEFT_OUT:
        raise QmpError(f"network backend '{type}' is not compiled into this binary")
    named = {name.replace("_", "-"): value for name, value in options.items()}
    if type not in CARRIED or (type == "tap" and "fd" not in named and "fds" not in named):
        raise not_emulated(f"netdev_add {type}")
    for name in filter(None, str(named.get("fd", named.get("fds", ""))).split(":")):
        if name not in ctx.machine.named_fds:
            raise QmpError(f"File descriptor named '{name}' has not been found")
    if type == "user":
        from qmpemu.machine.devices import user_network

        user_network.check(named)
    ctx.machine.netdevs.add({"id": id, "type": type, **named})
    ctx.machine.netdevs.all[id].after = next(reversed(ctx.machine.plugging.nics()), None)
    return {}


LEFT_OUT = ("none", "nic", "netmap", "vmnet-host", "vmnet-shared", "vmnet-bridged")
"""Kinds that Debian's QEMU 7.2 was built without."""
CARRIED = ("user", "hubport", "socket", "tap")
"""Kinds that can be added: no packet moves, and what they need of the host is checked. A tap comes as descriptors."""


@command("netdev_del")
def netdev_del(ctx: Context, *, id: str) -> object:
    """Remove a back end."""
    ctx.machine.netdevs.remove(id)
    return {}


@command("set_link")
def set_link(ctx: Context, *, name: str, up: bool) -> object:
    """Take the link of a card or back end up or down; the guest sees it."""
    netdevs = ctx.machine.netdevs
    nic = next((each for each, called, _ in ctx.machine.plugging.cards() if called == name), None)
    if name in netdevs.ports():
        return {}  # a port of the hub has a link of its own, which nobody sees
    if name in netdevs.all:
        netdevs.all[name].link_up = up
        nic = netdevs.all[name].nic if nic is None else nic
    elif nic is None:
        raise device_not_found(name)
    if nic is not None:
        (netdevs.down.discard if up else netdevs.down.add)(nic.path)
    return {}


@command("announce-self")
def announce_self(
    ctx: Context,
    *,
    initial: int,
    max: int,
    rounds: int,
    step: int,
    interfaces: list[str] | None = None,
    id: str | None = None,
) -> object:
    """Tell the network where these cards (all, if none is named) are now; their frames leave into nowhere."""
    cards = [each.id or each.path for each in ctx.machine.plugging.nics()]
    told = tuple(card for card in cards if interfaces is None or card in interfaces)
    ctx.machine.facts.chain(CardsAnnounced(cards=told, rounds=rounds))
    return {}


class CardsAnnounced(Fact):
    """Cards send frames with their address, so that switches learn where they are. rounds: how often."""

    cards: tuple[str, ...]
    rounds: int


@command("query-rx-filter")
def query_rx_filter(ctx: Context, *, name: str | None = None) -> object:
    """-> what each virtio network card lets in; from then on its next change is told again."""
    nics = [each for each in ctx.machine.plugging.cards() if name in (None, each[1])]
    if name is not None and not nics:
        netdevs = ctx.machine.netdevs
        known = name in netdevs.all or name in netdevs.ports()
        raise QmpError(f"net client({name}) isn't a NIC" if known else f"invalid net client name: {name}")
    shown = [each for each in nics if each[0].kind.startswith("virtio-net")]
    if name is not None and not shown:
        raise QmpError(f"net client({name}) doesn't support rx-filter querying")
    filters = ctx.machine.plugging.filters
    for device, _, _ in shown:
        filters.asked(device)
    return [
        receive_filter(called, mac, programmed=filters.programmed(device)) for device, called, mac in shown
    ]


@event(NicFilterChanged, "NIC_RX_FILTER_CHANGED")
def nic_rx_filter_changed(fact: NicFilterChanged) -> dict[str, object]:
    """The guest has told a card what to let in; not told again before somebody has looked."""
    return {"name": fact.id, "path": fact.path}
