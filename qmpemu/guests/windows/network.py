"""Windows' network connections, as `ipconfig` and the guest agent show them: one for each adapter, and the loopback.

The address is what a DHCP server would give: QEMU's own for a `user` network (10.0.2.15), `DhcpIPAddress` elsewhere,
and where nobody answers an address that Windows gives itself (169.254.0.0/16).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.core.clock import NS_PER_S

if TYPE_CHECKING:
    from qmpemu.guests.windows.system import System
    from qmpemu.hardware import Nic

USER_NETWORK = "10.0.2.15/24"
"""The first address of QEMU's user network."""
LOOPBACK = "Loopback Pseudo-Interface 1"
FIRST_INDEX = 4
PACKETS_PER_S, PACKET_BYTES = 2, 120
"""Traffic of an idle machine: an assumption (U), so that the figures grow with time."""


class Connection(NamedTuple):
    """One network connection. addresses: each with its prefix length; number: Windows' index of the interface."""

    name: str
    mac: str
    addresses: tuple[tuple[str, int], ...]
    number: int
    packets: int

    @property
    def ipv4(self) -> str:
        """Its IPv4 address, or empty."""
        return next((address for address, _ in self.addresses if ":" not in address), "")


class Network:
    """All connections of one Windows."""

    __slots__ = ("_system",)

    def __init__(self, system: System) -> None:
        self._system = system

    def connections(self) -> list[Connection]:
        """Those that are there now, the loopback last."""
        given = [each.strip() for each in self._system.settings.DhcpIPAddress.split(";")]
        nics = self._system.platform.hardware().nics
        found = [
            self._connection(number, nic, given[number] if number < len(given) else "")
            for number, nic in enumerate(nics)
        ]
        return [*found, Connection(LOOPBACK, "", (("::1", 128), ("127.0.0.1", 8)), 1, 0)]

    @property
    def is_online(self) -> bool:
        """Whether any adapter has an address that somebody gave it."""
        return any(c.mac and c.ipv4 and not c.ipv4.startswith("169.254.") for c in self.connections())

    def _connection(self, number: int, nic: Nic, given: str) -> Connection:
        name, index = "Ethernet" if not number else f"Ethernet {number + 1}", FIRST_INDEX + number
        if not nic.link_up:
            return Connection(name, nic.mac, (), index, 0)
        own = Random(nic.mac)  # Windows draws interface identifiers once, and keeps them
        groups = ":".join(f"{own.randrange(1, 0x10000):x}" for _ in range(4))
        address = given or (USER_NETWORK if nic.network == "user" else "")
        if not address:
            address = f"169.254.{own.randrange(1, 255)}.{own.randrange(1, 255)}/16"
        ip, _, prefix = address.partition("/")
        addresses = ((f"fe80::{groups}%{index}", 64), (ip, int(prefix or 24)))
        return Connection(name, nic.mac, addresses, index, self._uptime_s() * PACKETS_PER_S)

    def _uptime_s(self) -> int:
        return self._system.platform.clock.now_ns // NS_PER_S


def interface(connection: Connection) -> dict[str, object]:
    """A connection as guest-network-get-interfaces shows it."""
    shown: dict[str, object] = {"name": connection.name}
    if connection.mac:
        shown["hardware-address"] = connection.mac
    if connection.addresses:
        shown["ip-addresses"] = [
            {"ip-address": ip, "prefix": prefix, "ip-address-type": "ipv6" if ":" in ip else "ipv4"}
            for ip, prefix in connection.addresses
        ]
    shown["statistics"] = _statistics(connection.packets)
    return shown


def _statistics(packets: int) -> dict[str, int]:
    return {
        "rx-bytes": packets * PACKET_BYTES,
        "rx-packets": packets,
        "rx-errs": 0,
        "rx-dropped": 0,
        "tx-bytes": packets * PACKET_BYTES,
        "tx-packets": packets,
        "tx-errs": 0,
        "tx-dropped": 0,
    }
