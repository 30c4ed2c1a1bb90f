"""A back end over a plain socket (-netdev socket): what is refused of its addresses, and the socket itself.

No packet moves, but the port is taken on the host: who connects there finds somebody. Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.machine.host import Closable, Host

WAYS = ("listen", "connect", "mcast", "udp")


def opened(options: Mapping[str, object], host: Host) -> Closable | None:
    """The socket of a back end with these options; None where the client has handed one down. Raises Refused."""
    given = [way for way in (*WAYS, "fd") if options.get(way) is not None]
    if len(given) != 1:
        raise Refused("exactly one of listen=, connect=, mcast= or udp= is required")
    way, local = given[0], options.get("localaddr")
    if local is not None and way not in ("mcast", "udp"):
        raise Refused("localaddr= is only valid with mcast= or udp=")
    if way == "fd":
        return None
    if way == "udp" and local is None:
        raise Refused("localaddr= is mandatory with udp=")
    return host.network_socket(way, str(options[way]), str(local or ""))
