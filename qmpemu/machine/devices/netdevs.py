"""The host's side of network cards (-netdev, netdev_add) and the links of both sides.

No packet moves in qmpemu: a link is up or down, and the guest sees it.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device


class Netdev:
    """One back end. options: as given; nic: the card on it."""

    __slots__ = ("kind", "link_up", "nic", "options")

    def __init__(self, options: dict[str, object]) -> None:
        self.options = options
        self.kind = str(options["type"])
        self.link_up = True
        self.nic: Device | None = None


class Netdevs:
    """All back ends by id."""

    __slots__ = ("all", "down", "hub")

    def __init__(self) -> None:
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
        self.all[name] = Netdev(options)

    def remove(self, name: str) -> None:
        """Remove a back end; its card stays, with its link down. Raises Refused or QmpError."""
        if name in self.hub or name in self.ports():
            raise Refused(f"Device '{name}' is not a netdev")
        netdev = self.all.pop(name, None)
        if netdev is None:
            raise device_not_found(name)
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

    def join(self, name: str, device: Device, owner: str) -> None:
        """Put a card on a back end. Raises Refused."""
        netdev = self.all.get(name)
        if netdev is None:
            raise Refused(f"Property '{owner}.netdev' can't find value '{name}'")
        if netdev.nic is not None:
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
