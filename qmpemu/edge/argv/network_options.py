"""Network cards of the short forms: -nic (card and back end in one) and -net (both on one hub)."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.argv.parser import Parser, Unprefixed
from qmpemu.edge.keyval import OptionError, switch
from qmpemu.machine.config import OnBoard
from qmpemu.machine.devices.user_network import check
from qmpemu.qmp.errors import QmpError

KINDS = frozenset("none nic user tap l2tpv3 socket stream dgram vde bridge hubport netmap vhost-user".split())
CARD = frozenset(("type", "id", "netdev", "macaddr", "model", "addr", "vectors"))
"""-net nic"""
NIC = frozenset(("type", "model", "mac"))
CARDS = ("model", "mac", "macaddr", "addr", "vectors")
USER = frozenset(
    """
    id restrict net host ipv4 ipv6 ipv6-net ipv6-prefix ipv6-host hostname tftp bootfile dhcpstart dns dnssearch smb
    smbserver hostfwd guestfwd ip ipv6-prefixlen ipv6-dns domainname tftp-server-name
    """.split()
)
MODELS = {
    "virtio": "virtio-net-pci",
    **{
        name: name
        for name in """
            virtio-net-pci e1000 e1000e rtl8139 pcnet ne2k_pci vmxnet3 i82550 i82551 i82557a i82557b i82557c i82558a
            i82558b i82559a i82559b i82559c i82559er i82562 i82801 tulip e1000-82540em e1000-82544gc e1000-82545em
            virtio-net-pci-non-transitional virtio-net-pci-transitional
        """.split()
    },
}
HEX = frozenset("0123456789abcdefABCDEF")


def finish(parser: Parser) -> list[OnBoard]:
    """The board's cards, in their order; back ends go to the configuration. Raises Unprefixed."""
    config = parser.config
    given = parser.networks
    if not given and not config.netdevs and not config.nodefaults:
        config.default_network = True
        given = [("net", {"type": "nic"}, ""), ("net", {"type": "user"}, "")]
    cards: list[OnBoard] = []
    all_of_nic_first = sorted(given, key=lambda each: each[0] == "net")
    for kind, options, typed in all_of_nic_first:
        _check(options, typed)
        name = options.get("id")
        if name is not None and any(each["id"] == name for each in config.netdevs):
            raise OptionError(f"{typed}: Duplicate ID '{name}'")
        if options["type"] == "none":
            if kind == "net":
                parser.next_network()
            continue
        is_card = options["type"] == "nic"
        peer = options.get("netdev")
        if is_card and peer is not None and all(each["id"] != peer for each in config.netdevs):
            raise OptionError(f"{typed}: netdev '{peer}' not found")
        netdev = options.get("netdev") if is_card else _back_end(parser, kind, options)
        if is_card or kind == "nic":
            cards += _card(parser, kind, options, netdev)
            if kind == "net" and netdev is None:
                config.hub.append(("", len(cards) - 1 if cards else 0))
    return cards


def _back_end(parser: Parser, kind: str, options: dict[str, str]) -> str:
    config = parser.config
    name = options.get("id") or parser.next_network()
    own: dict[str, object] = {key: value for key, value in options.items() if key not in CARDS}
    if kind == "net":
        config.hub.append((name, -1))
    config.netdevs.append({**own, "id": name})
    return name


def _card(parser: Parser, kind: str, options: dict[str, str], netdev: str | None) -> list[OnBoard]:
    config = parser.config
    name = "anonymous" if kind == "nic" else options.get("id") or parser.next_network()
    if config.family == "none":
        config.unmade_cards.append(f"{name}, model {options.get('model', 'unspecified')}")
        return []
    asked = options.get("model", "e1000e" if config.family == "q35" else "e1000")
    model = MODELS.get(asked)
    if model is None:
        raise Unprefixed(f"Unsupported NIC model: {asked}")
    made: dict[str, object] = {"driver": model}
    mac = options.get("mac", options.get("macaddr"))
    if mac is not None:
        made["mac"] = mac
    if model.startswith("virtio") and (kind == "nic" or "vectors" in options):
        made["vectors"] = options.get("vectors", 0)  # -nic: no MSI-X unless asked for (measured)
    if "addr" in options:
        made["addr"] = _slot(options["addr"], model)
    if netdev is not None:
        made["netdev"] = netdev
    return [OnBoard("nic", made)]


def _slot(address: str, model: str) -> str:
    """The slot of `[[DOMAIN:]BUS:]SLOT` on the first bus, in hexadecimal. Raises Unprefixed."""
    *before, slot = address.split(":")
    try:
        if len(before) > 2 or any(int(each, 16) for each in before) or not 0 <= int(slot, 16) < SLOTS:
            raise ValueError
    except ValueError:
        raise Unprefixed(f"Invalid PCI device address {address} for device {model}") from None
    return slot


SLOTS = 32


def _check(options: dict[str, str], typed: str) -> None:
    kind = options.get("type", "")
    if kind not in KINDS:
        raise OptionError(f"{typed}: Parameter 'type' does not accept value '{kind}'")
    if kind == "nic" and typed.startswith("-nic"):
        raise OptionError(f"{typed}: network backend 'nic' is not compiled into this binary")
    wrong = next((key for key in options if key not in CARD), None)
    if kind == "nic" and wrong is not None:
        raise OptionError(f"{typed}: Invalid parameter '{wrong}'")
    vectors = options.get("vectors", "0")
    if kind == "nic" and not vectors.isdigit():
        raise OptionError(f"{typed}: Parameter 'vectors' expects a uint64 value")
    mac = options.get("mac", options.get("macaddr"))
    if mac is not None and not _is_mac(mac):
        raise OptionError(f"{typed}: invalid syntax for ethernet address")
    if mac is not None and int(mac.replace("-", ":").partition(":")[0], 16) & 1:
        odd = "" if typed.startswith("-nic") else " (odd 1st byte)"
        raise OptionError(f"{typed}: NIC cannot have multicast MAC address{odd}")
    if kind == "user":
        known = USER | (NIC if typed.startswith("-nic") else {"type"})
        wrong = next((key for key in options if key not in known), None)
        if wrong is not None:
            raise OptionError(f"{typed}: Invalid parameter '{wrong}'")
        try:
            check({key: _typed(key, value) for key, value in options.items() if key not in NIC})
        except (Refused, QmpError) as error:
            raise OptionError(f"{typed}: {error}") from None


def _is_mac(text: str) -> bool:
    parts = text.replace("-", ":").split(":")
    return len(parts) == 6 and all(1 <= len(each) <= 2 and set(each) <= HEX for each in parts)


def _typed(key: str, value: str) -> object:
    """An option as QMP would give it."""
    if key in ("hostfwd", "guestfwd"):
        return [{"str": value}]
    return switch(key, value) if key in ("ipv4", "ipv6", "restrict") else value
