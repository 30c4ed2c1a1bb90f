"""What a virtio network card lets in (query-rx-filter): everything, until the guest's driver says otherwise."""

from __future__ import annotations

from qmpemu.core.facts import Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.core.facts import Bus
    from qmpemu.machine.devices.table import Device

VLANS = 4096


class NicFilterChanged(Fact):
    """The guest's driver has set a card's receive filter (QMP event NIC_RX_FILTER_CHANGED)."""

    id: str
    path: str


class Filters:
    """Which cards a driver has set up, and which of them told of it since they were last asked about."""

    __slots__ = ("_facts", "_programmed", "_told")

    def __init__(self, facts: Bus) -> None:
        self._facts = facts
        self._programmed: set[str] = set()
        self._told: set[str] = set()

    def program(self, device: Device) -> None:
        """The guest's driver starts to use the card."""
        self._programmed.add(device.path)
        if device.path not in self._told and device.id is not None:
            self._told.add(device.path)
            self._facts.publish(NicFilterChanged(id=device.id, path=f"{device.path}/virtio-backend"))

    def programmed(self, device: Device) -> bool:
        """Whether a driver uses the card."""
        return device.path in self._programmed

    def asked(self, device: Device) -> None:
        """Somebody looked: the next change is told again."""
        self._told.discard(device.path)

    def reset(self) -> None:
        """Machine reset: no driver runs. What was told and not looked at stays so."""
        self._programmed.clear()


def receive_filter(name: str, mac: str, *, programmed: bool) -> dict[str, object]:
    """A card's row (the order of members is that of the wire)."""
    return {
        "promiscuous": not programmed,
        "name": name,
        "main-mac": mac,
        "unicast": "normal",
        "vlan": "all",
        "vlan-table": list(reversed(range(VLANS))),
        "unicast-table": [],
        "multicast": "normal",
        "multicast-overflow": False,
        "unicast-overflow": False,
        "multicast-table": [],
        "broadcast-allowed": False,
    }
