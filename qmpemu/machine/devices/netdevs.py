"""The host's side of network cards (-netdev, netdev_add) and the links of both sides.

No packet moves in qmpemu: a link is up or down, and the guest sees it.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.host import Closable, Host


class Netdev:
    """One back end. options: as given; nic: the card on it."""

    __slots__ = ("after", "held", "kind", "link_up", "nic", "options")

    def __init__(self, options: dict[str, object]) -> None:
        self.options = options
        self.kind = str(options["type"])
        self.link_up = True
        self.nic: Device | None = None
        self.after: Device | None = None
        """The last card that was there when it came; None where cards came later."""
        self.held: Closable | None = None
        """What it has taken of the host's; its `close` gives it back."""

    @property
    def joined(self) -> str | None:
        """The back end that a port of a hub is put on, by id."""
        return str(self.options["netdev"]) if self.kind == "hubport" and "netdev" in self.options else None


class Netdevs:
    """All back ends by id."""

    __slots__ = ("_host", "all", "down", "hub")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.all: dict[str, Netdev] = {}
        self.hub: list[str | Device | None] = []
        """-net: back ends, by id, and cards on the hub, in order of their ports; None: a card that no board took."""
        self.down: set[str] = set()
        """Paths of cards whose own link the host has taken down."""

    def add(self, options: dict[str, object]) -> None:
        """Add a back end. Raises Refused."""
        name = str(options["id"])
        if name in self.all:
            raise Refused(f"Duplicate ID '{name}'")
        added = Netdev(options)
        if added.joined is not None and added.joined not in self.all:
            raise Refused(f"netdev '{added.joined}' not found")
        if added.kind == "socket":
            from qmpemu.machine.devices import socket_network

            added.held = socket_network.opened(options, self._host)
        self.all[name] = added

    def remove(self, name: str) -> None:
        """Remove a back end; its card stays, with its link down. Raises Refused or QmpError."""
        if name in self.hub or name in self.ports():
            raise Refused(f"Device '{name}' is not a netdev")
        netdev = self.all.pop(name, None)
        if netdev is None:
            raise device_not_found(name)
        if netdev.held is not None:
            netdev.held.close()
        if netdev.nic is not None:
            self.down.add(netdev.nic.path)

    def wire(self, hub: list[tuple[str, int]], cards: list[Device]) -> None:
        """Put back ends, by id, and cards, by number, on the hub; the one hears what the other says."""
        self.hub = [name or (cards[number] if number < len(cards) else None) for name, number in hub]
        for port, each in enumerate(self.hub):
            if each is not None and not isinstance(each, str):
                each.values["netdev"] = f"hub0port{port}"

    def ports(self) -> list[str]:
        """The names of the hub's ports."""
        return [f"hub0port{port}" for port in range(len(self.hub))]

    def joined(self) -> set[str]:
        """The back ends that are on both ends of a port of a hub (-netdev hubport), by id."""
        ends = ((name, each.joined) for name, each in self.all.items())
        return {end for name, other in ends if other is not None for end in (name, other)}

    def unpaired(self) -> list[str]:
        """What is said at the start of hubs, the newest first, and of back ends without a card."""
        empty = [f"hub0port{port}" for port, each in enumerate(self.hub) if each is None]
        told = [f"hub port {name} has no peer" for name in reversed(empty)]
        ends = {isinstance(each, str) for each in self.hub if each is not None}
        if ends == {True}:
            told.append("hub 0 with no nics")
        elif ends == {False}:
            told.append("hub 0 is not connected to host network")
        ports = {name: each for name, each in reversed(self.all.items()) if each.kind == "hubport"}
        paired = self.joined()
        for number in reversed(dict.fromkeys(each.options["hubid"] for each in reversed(ports.values()))):
            mine = {name: each for name, each in ports.items() if each.options["hubid"] == number}
            told += [
                f"hub port {name} has no peer"
                for name, each in mine.items()
                if each.nic is None and name not in paired
            ]
            if self.hub and str(number) == "0":
                continue  # -net's hub, of which its parser tells
            has_card = any(each.nic is not None for each in mine.values())
            has_host = any(
                each.joined is not None and self.all[each.joined].kind != "hubport" for each in mine.values()
            )
            if has_host and not has_card:
                told.append(f"hub {number} with no nics")
            if has_card and not has_host:
                told.append(f"hub {number} is not connected to host network")
        wired = {*paired, *(each for each in self.hub if isinstance(each, str))}
        alone = [name for name, each in self.all.items() if each.nic is None and name not in wired]
        return [*told, *(f"netdev {name} has no peer" for name in [*alone, *empty])]

    def join(self, name: str, device: Device, owner: str) -> None:
        """Put a card on a back end. Raises Refused."""
        netdev = self.all.get(name)
        if netdev is None:
            raise Refused(f"Property '{owner}.netdev' can't find value '{name}'")
        if netdev.nic is not None or name in self.joined():
            raise Refused(f"Property '{owner}.netdev' can't take value '{name}', it's in use")
        netdev.nic = device

    def part(self, device: Device) -> None:
        """The card is gone."""
        self.down.discard(device.path)
        for netdev in self.all.values():
            if netdev.nic is device:
                netdev.nic = None

    def link_up(self, device: Device) -> bool:
        """Whether the card sees a link."""
        netdev = next((each for each in self.all.values() if each.nic is device), None)
        return device.path not in self.down and (netdev is None or netdev.link_up)
