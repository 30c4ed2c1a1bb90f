"""What `info network` of the human monitor shows; texts as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.machine.devices.user_network import shown_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.commands.registry import Context
    from qmpemu.machine.devices.netdevs import Netdev

DESCRIBED = ("user", "tap", "socket")
NOT_EMULATED = "qmpemu does not emulate the command 'info network'\r\n"


def network(ctx: Context) -> str:
    """Each card with its back end, after the back ends that have none; one of another kind is not described."""
    machine = ctx.machine
    networks = machine.netdevs
    if any(each.kind not in DESCRIBED for each in networks.all.values()):
        return NOT_EMULATED
    hub = networks.hub
    ends = {name: _queues(ctx, name, each) for name, each in networks.all.items()}
    behind = {each.nic: name for name, each in networks.all.items() if each.nic is not None}
    cards = {
        nic: f"{name}: index=0,type=nic,model={nic.kind},macaddr={mac}\r\n"
        for nic, name, mac in machine.plugging.cards()
    }
    lines = ["hub 0\r\n"] if hub else []
    for port, each in reversed(list(enumerate(hub))):
        peer = ends[each][0] if isinstance(each, str) else cards[each] if each else None
        lines.append(f" \\ hub0port{port}: {peer}" if peer is not None else f" \\ hub0port{port}\r\n")
    alone = [name for name, each in networks.all.items() if each.nic is None and name not in hub]
    lines += [line for name in alone if networks.all[name].after not in cards for line in ends[name]]
    for nic, name, _ in machine.plugging.cards():
        later = [line for each in alone if networks.all[each].after is nic for line in ends[each]]
        if nic in hub:
            lines += later
            continue
        lines.append(cards[nic])
        for number, end in enumerate(ends.get(behind.get(nic, ""), ())):
            queue = f"{name}: index={number},type=nic,\r\n" if number else ""
            lines.append(f"{queue} \\ {end}")
        lines += later
    return "".join(lines)


def _queues(ctx: Context, name: str, netdev: Netdev) -> list[str]:
    """A back end, and each queue of a tap with several."""
    options = netdev.options
    if netdev.kind == "tap":
        fds = str(options.get("fds", options.get("fd", ""))).split(":")
        numbers = [ctx.machine.named_fds.get(fd, fd) for fd in fds]
        return [f"{name}: index={index},type=tap,fd={fd}\r\n" for index, fd in enumerate(numbers)]
    if netdev.kind == "user":
        restricted = "on" if options.get("restrict") in (True, "on", "yes", "y", "true") else "off"
        return [f"{name}: index=0,type=user,net={shown_network(options)},restrict={restricted}\r\n"]
    return [f"{name}: index=0,type=socket,{_place(options)}\r\n"]


def _place(options: dict[str, object]) -> str:
    """Where a socket's datagrams would go; of a stream there is nothing to tell until somebody is there."""
    for way in ("mcast", "udp"):
        if options.get(way):
            host, _, port = str(options[way]).partition(":")
            return f"socket: {way}={'127.0.0.1' if host == 'localhost' else host}:{port}"
    return ""
