"""Options of a user network (`type=user`): what the real one refuses, in its order and words (measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_BYTES_MAX = 255
ALL = 0xFFFF_FFFF
DEFAULT_NETWORK, DEFAULT_MASK = 0x0A00_0200, 0xFFFF_FF00
DEFAULT_PREFIX = "fec0::"
PREFIX_BITS, PREFIX_BITS_MAX = 64, 126
CLASSES = (
    (0x8000_0000, 0x0000_0000, 0xFF00_0000),
    (0xFFF0_0000, 0xAC10_0000, 0xFFF0_0000),
    (0xC000_0000, 0x8000_0000, 0xFFFF_0000),
    (0xFFFF_0000, 0xC0A8_0000, 0xFFFF_0000),
)
"""For a network without a mask: the bits looked at, what they are, the mask."""
FOURTH, SIXTH = ("net", "host", "dns"), ("ipv6-prefix", "ipv6-host", "ipv6-dns")
NAMES = {"hostname": "vhostname", "domainname": "domainname", "tftp-server-name": "tftp-server-name"}
"""Options that are told by DHCP, and what their refusal calls them."""


def check(options: Mapping[str, object]) -> None:
    """Whether such a network can be made. Raises Refused."""
    fourth, sixth = options.get("ipv4", True), options.get("ipv6", True)
    if not fourth and any(name in options for name in FOURTH):
        raise Refused("IPv4 disabled but netmask/host/dns provided")
    if not sixth and any(name in options for name in SIXTH):
        raise Refused("IPv6 disabled but prefix/host6/dns6 provided")
    if not fourth and not sixth:
        raise Refused("IPv4 and IPv6 disabled")
    _check_addresses(options)
    _check_addresses_of_six(options)
    for name, called in NAMES.items():
        given = str(options.get(name, called))
        if name == "domainname" and not given:
            raise Refused("'domainname' parameter cannot be empty")
        if len(given.encode()) > NAME_BYTES_MAX:
            raise Refused(f"'{called}' parameter cannot exceed {NAME_BYTES_MAX} bytes")
    for rule in reversed(_texts(options.get("guestfwd"))):
        _check_inner_rule(rule)
    for rule in reversed(_texts(options.get("hostfwd"))):
        _check_rule(rule)
    if "smb" in options:
        raise Refused("Could not find '/usr/sbin/smbd', please install it")


def _check_addresses(options: Mapping[str, object]) -> None:
    network, mask = DEFAULT_NETWORK, DEFAULT_MASK
    given = options.get("net", options.get("ip"))
    if given is not None:
        network, mask = _network(str(given))
    host = network & mask | 0x0202 & ~mask
    dns, dhcp = host + 1, host + 13
    if "host" in options:
        host = _address(options["host"], "Failed to parse host")
        if host & mask != network & mask:
            raise Refused("Host doesn't belong to network")
    if "dns" in options:
        dns = _address(options["dns"], "Failed to parse DNS")
    if options.get("restrict") is not True and dns == host:
        raise Refused("DNS must be different from host")
    if "dhcpstart" in options:
        dhcp = _address(options["dhcpstart"], "Failed to parse DHCP start address")
        if dhcp & mask != network & mask:
            raise Refused("DHCP doesn't belong to network")
        if dhcp in (host, dns):
            raise Refused("DHCP must be different from host and DNS")
    if "smbserver" in options:
        _address(options["smbserver"], "Failed to parse SMB address")


def shown_network(options: Mapping[str, object]) -> str:
    """The network's address, as `info network` shows it."""
    network, mask = DEFAULT_NETWORK, DEFAULT_MASK
    given = options.get("net", options.get("ip"))
    if given is not None:
        network, mask = _network(str(given))
    return ".".join(str(each) for each in (network & mask).to_bytes(4, "big"))


def _network(text: str) -> tuple[int, int]:
    """-> address and mask."""
    first, slash, bits = text.partition("/")
    address = _address(first, "Failed to parse netmask")
    if not slash:
        return address, next((mask for seen, like, mask in CLASSES if address & seen == like), 0xFFFF_FFF0)
    if bits and not bits.isdigit():
        return address, _address(bits, "Failed to parse netmask (trailing chars)")
    if not 4 <= int(bits or 0) <= 32:
        raise Refused("Invalid netmask provided (must be in range 4-32)")
    return address, ALL << (32 - int(bits)) & ALL


def _address(given: object, refusal: str) -> int:
    """An address as inet_aton reads it: one to four numbers, decimal, octal or hexadecimal; the last fills up."""
    words = str(given).split(maxsplit=1)
    parts = words[0].split(".") if words and not str(given)[0].isspace() else []
    try:
        numbers = [_number(each) for each in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 4 or any(each > 255 for each in numbers[:-1]):
        raise Refused(refusal)
    room = 1 << 8 * (5 - len(numbers))
    if numbers[-1] >= room:
        raise Refused(refusal)
    return sum(each << 24 - 8 * place for place, each in enumerate(numbers[:-1])) + numbers[-1]


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:], 16)
    if not text.isdigit():
        raise ValueError(text)
    return int(text, 8 if text[0] == "0" else 10)


def _check_addresses_of_six(options: Mapping[str, object]) -> None:
    if not any(name.startswith("ipv6-") for name in options):
        return
    prefix = _of_six(options.get("ipv6-prefix", DEFAULT_PREFIX), "Failed to parse IPv6 prefix")
    bits = int(str(options.get("ipv6-prefixlen", PREFIX_BITS)))
    if not 0 <= bits <= PREFIX_BITS_MAX:
        raise Refused(
            f"Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and {PREFIX_BITS_MAX})"
        )
    if "ipv6-host" in options:
        host = _of_six(options["ipv6-host"], "Failed to parse IPv6 host")
        if (host ^ prefix) >> (128 - bits):
            raise Refused("IPv6 Host doesn't belong to network")
    if "ipv6-dns" in options:
        _of_six(options["ipv6-dns"], "Failed to parse IPv6 DNS")


def _of_six(given: object, refusal: str) -> int:
    from ipaddress import AddressValueError, IPv6Address

    try:
        return int(IPv6Address(str(given)))
    except AddressValueError:
        raise Refused(refusal) from None


# --- forwarding -----------------------------------------------------------------------------------------------


def _texts(given: object) -> list[str]:
    """Rules of a QAPI list of strings."""
    return [str(each["str"]) for each in given] if isinstance(given, list) else []


def _check_rule(rule: str) -> None:
    """[tcp|udp]:[host address]:host port-[guest address]:guest port."""

    def refuse(why: str) -> Refused:
        return Refused(f"Invalid host forwarding rule '{rule}' ({why})")

    if ":" not in rule:
        raise refuse("No : separators")
    kind, _, rest = rule.partition(":")
    if kind not in ("", "tcp", "udp"):
        raise refuse("Bad protocol name")
    if ":" not in rest:
        raise refuse("Missing : separator")
    host, _, rest = rest.partition(":")
    _address(host or "0", str(refuse("Bad host address")))
    port, dash, rest = rest.partition("-")
    if not dash or not _is_port(port, least=0):
        raise refuse("Bad host port")
    guest, colon, port = rest.partition(":")
    if not colon:
        raise refuse("Missing guest address")
    _address(guest or "0", str(refuse("Bad guest address")))
    if not _is_port(port, least=1):
        raise refuse("Bad guest port")


def _check_inner_rule(rule: str) -> None:
    """[tcp]:guest address:port-target."""
    kind, _, rest = rule.partition(":")
    address, _, rest = rest.partition(":")
    port, _, target = rest.partition("-")
    refusal = f"Invalid guest forwarding rule '{rule}'"
    if kind not in ("", "tcp") or not target or not _is_port(port, least=1):
        raise Refused(refusal)
    _address(address or "0", refusal)


def _is_port(text: str, *, least: int) -> bool:
    return text.isdigit() and least <= int(text) <= 65535
