"""What `info network` of the human monitor shows; texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.machine.devices import net_filters
from qmpemu.machine.devices.options import ON
from qmpemu.machine.devices.user_network import shown_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.commands.registry import Context
    from qmpemu.machine.devices.netdevs import Netdev
    from qmpemu.machine.devices.table import Device

DESCRIBED = ("user", "tap", "socket", "stream", "dgram", "hubport", "l2tpv3")
NOT_EMULATED = "qmpemu does not emulate the command 'info network'\r\n"


def network(ctx: Context) -> str:
    """Hubs, then each card with its back end, after the back ends that have none; not where one is not described."""
    machine = ctx.machine
    networks = machine.netdevs
    if any(each.kind not in DESCRIBED or _by_descriptor(each) for each in networks.all.values()):
        return NOT_EMULATED
    on_hubs = networks.joined() | {name for name, each in networks.all.items() if each.kind == PORT}
    ends = {name: _queues(ctx, name, each) for name, each in networks.all.items() if each.kind != PORT}
    told = {name: [*end, *_filters(ctx, name)] for name, end in ends.items()}
    cards = {
        nic: f"{name}: index=0,type=nic,model={nic.kind},macaddr={mac}\r\n"
        for nic, name, mac in machine.plugging.cards()
    }
    lines = _hubs(ctx, ends, cards)
    plugged = [nic for nic in cards if nic in networks.hub]
    plugged += [each.nic for each in networks.all.values() if each.kind == PORT and each.nic is not None]
    behind = {each.nic: name for name, each in networks.all.items() if each.nic is not None}
    wired = {*on_hubs, *(each for each in networks.hub if isinstance(each, str))}
    alone = [name for name, each in networks.all.items() if each.nic is None and name not in wired]
    lines += [line for name in alone if networks.all[name].after not in cards for line in told[name]]
    for nic, name, _ in machine.plugging.cards():
        later = [line for each in alone if networks.all[each].after is nic for line in told[each]]
        if nic in plugged:
            lines += later
            continue
        lines.append(cards[nic])
        for number, end in enumerate(ends.get(behind.get(nic, ""), ())):
            queue = f"{name}: index={number},type=nic,\r\n" if number else ""
            lines.append(f"{queue} \\ {end}")
        lines += [*_filters(ctx, behind.get(nic, "")), *later]
    return "".join(lines)


PORT = "hubport"


def _hubs(ctx: Context, ends: dict[str, list[str]], cards: dict[Device, str]) -> list[str]:
    """Each hub with what is on its ports, the newest first."""
    networks = ctx.machine.netdevs
    hubs: dict[str, list[str]] = {}
    for name, each in networks.all.items():
        if each.kind == PORT:
            peer = ends[each.joined][0] if each.joined in ends else cards.get(each.nic) if each.nic else None
            hubs.setdefault(str(each.options["hubid"]), []).append(_port(name, peer))
    for number, on in enumerate(networks.hub):
        peer = ends[on][0] if isinstance(on, str) else cards[on] if on else None
        hubs.setdefault("0", []).append(_port(f"hub0port{number}", peer))
    return [
        line for number, ports in reversed(hubs.items()) for line in (f"hub {number}\r\n", *reversed(ports))
    ]


def _port(name: str, peer: str | None) -> str:
    return f" \\ {name}: {peer}" if peer is not None else f" \\ {name}\r\n"


def _filters(ctx: Context, name: str) -> list[str]:
    found = net_filters.shown(name, ctx.machine.objects.all)
    return ["filters:\r\n", *found] if found else []


def _by_descriptor(netdev: Netdev) -> bool:
    """Whether an end is a descriptor that was handed down: its addresses are not known here."""
    return any(_end(netdev.options, name).get("type") == "fd" for name in ("addr", "local", "remote"))


def _queues(ctx: Context, name: str, netdev: Netdev) -> list[str]:
    """A back end, and each queue of a tap with several."""
    options = netdev.options
    if netdev.kind == "tap":
        if "fds" not in options and "fd" not in options:
            return [f"{name}: index=0,type=tap,{_own_tap(ctx, name, options)}\r\n"]
        fds = str(options.get("fds", options.get("fd"))).split(":")
        numbers = [ctx.machine.named_fds.get(fd, fd) for fd in fds]
        return [f"{name}: index={index},type=tap,fd={fd}\r\n" for index, fd in enumerate(numbers)]
    if netdev.kind == "user":
        restricted = "on" if options.get("restrict") in (True, *ON) else "off"
        return [f"{name}: index=0,type=user,net={shown_network(options)},restrict={restricted}\r\n"]
    if netdev.kind == "l2tpv3":
        return [f"{name}: index=0,type=l2tpv3,l2tpv3: connected\r\n"]
    told = {"socket": _place, "dgram": _datagrams}.get(netdev.kind)
    text = told(options) if told is not None else _stream(ctx, options)
    return [f"{name}: index=0,type={netdev.kind},{text}\r\n"]


def _own_tap(ctx: Context, name: str, options: dict[str, object]) -> str:
    """A tap device that QEMU would have made itself: by its name, or by the next free one."""
    if "helper" in options:
        return f"helper={options['helper']}"
    makes = [
        each
        for each, netdev in ctx.machine.netdevs.all.items()
        if netdev.kind == "tap" and not netdev.options.keys() & {"ifname", "fd", "fds", "helper"}
    ]
    interface = options.get("ifname") or f"tap{makes.index(name)}"
    up, down = options.get("script", "/etc/qemu-ifup"), options.get("downscript", "/etc/qemu-ifdown")
    return f"ifname={interface},script={up},downscript={down}"


def _stream(ctx: Context, options: dict[str, object]) -> str:
    """Nothing until somebody is there; a client that found no socket says so."""
    place = _end(options, "addr")
    if options.get("server") in (True, *ON) or place.get("type") != "unix":
        return ""
    return "connection error" if ctx.machine.host.why_unreadable(place["path"]) is not None else ""


def _datagrams(options: dict[str, object]) -> str:
    """From where to where, or the group of a multicast."""
    here, there = _end(options, "local"), _end(options, "remote")
    if here.get("type") == "unix":
        return f"udp={here.get('path')}:{there.get('path')}"
    if there.get("host", "").partition(".")[0] in MULTICAST:
        return f"mcast={_address(there)}"
    return f"udp={_address(here)}/{_address(there)}"


MULTICAST = frozenset(str(number) for number in range(224, 240))
"""First numbers of IPv4's multicast addresses."""


def _end(options: dict[str, object], name: str) -> dict[str, str]:
    """An end's `type` and address, given as an object or by words with dots."""
    given = options.get(name)
    if isinstance(given, dict):
        return {key: str(value) for key, value in given.items()}
    start = f"{name}."
    return {key.removeprefix(start): str(value) for key, value in options.items() if key.startswith(start)}


def _address(place: dict[str, str]) -> str:
    host = place.get("host", "")
    return f"{LOCAL if host == 'localhost' else host}:{place.get('port')}"


LOCAL = "127.0.0.1"


def _place(options: dict[str, object]) -> str:
    """Where a socket's datagrams would go; of a stream there is nothing to tell until somebody is there."""
    for way in ("mcast", "udp"):
        if options.get(way):
            host, _, port = str(options[way]).partition(":")
            return f"socket: {way}={LOCAL if host == 'localhost' else host}:{port}"
    return ""
