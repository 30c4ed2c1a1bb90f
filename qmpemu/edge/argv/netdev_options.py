"""The words of -netdev in plain form: which each kind of back end takes (texts measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.options import OptionError, size, switch
from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMES = {
    "user": "hostname restrict ipv4 ipv6 ip net host tftp bootfile dhcpstart dns dnssearch domainname ipv6-prefix "
    "ipv6-prefixlen ipv6-host ipv6-dns ipv6-net smb smbserver hostfwd guestfwd tftp-server-name",
    "tap": "ifname fd fds script downscript br helper sndbuf vnet_hdr vhost vhostfd vhostfds vhostforce queues poll-us",
    "l2tpv3": "src dst srcport dstport ipv6 udp cookie64 counter pincounter txcookie rxcookie txsession rxsession "
    "offset",
    "socket": "fd listen connect mcast localaddr udp",
    "stream": "addr server",
    "dgram": "local remote",
    "vde": "sock port group mode",
    "bridge": "br helper",
    "hubport": "hubid netdev",
    "netmap": "ifname devname",
    "vhost-user": "chardev vhostforce queues",
    "vhost-vdpa": "vhostdev vhostfd queues x-svq",
}
NEEDED = {
    "l2tpv3": ("src", "dst", "txsession"),
    "hubport": ("hubid",),
    "netmap": ("ifname",),
    "vhost-user": ("chardev",),
}
SWITCHES = frozenset(
    "restrict ipv4 ipv6 vnet_hdr vhost vhostforce udp cookie64 counter pincounter server x-svq".split()
)
NUMBERS = frozenset(
    "port mode queues poll-us txcookie rxcookie txsession rxsession offset ipv6-prefixlen".split()
)
NESTED = ("stream", "dgram")
"""Kinds whose words are members of members."""


def check_all(netdevs: Iterable[tuple[Mapping[str, object], str]]) -> None:
    """Look at each, with how it was typed. Raises OptionError."""
    for given, typed in netdevs:
        try:
            check(str(given["type"]), given)
        except OptionError as error:
            raise OptionError(f"{typed}: {error}") from None


def check(kind: str, given: Mapping[str, object]) -> None:
    """Whether a back end of that kind can have these. Raises OptionError."""
    known = NAMES.get(kind, "").split()
    for name in NEEDED.get(kind, ()):
        if name not in given:
            raise OptionError(f"Parameter '{name}' is missing")
    if kind == "netmap":
        raise OptionError(f"network backend '{kind}' is not compiled into this binary")
    if kind in NESTED:
        _check_nested(kind, given)
    for name in known:
        if name in given and name in SWITCHES and not (kind == "socket" and name == "udp"):
            switch(name, str(given[name]))
        elif name in given and name in NUMBERS | {"hubid"}:
            _check_number(kind, name, str(given[name]))
        elif name == "sndbuf" and name in given:
            _check_size(name, str(given[name]))
    wrong = next((name for name in given if name.partition(".")[0] not in (*known, "type", "id")), None)
    if wrong is not None:
        raise OptionError(
            f"Parameter '{wrong}' is unexpected" if kind in NESTED else f"Invalid parameter '{wrong}'"
        )
    if kind == "user":
        _check_user(given)


def _check_number(kind: str, name: str, text: str) -> None:
    signed = name in ("hubid", "ipv6-prefixlen") or kind.startswith("vhost-user")
    if not text.removeprefix("-" if signed else "").isdigit():
        raise OptionError(f"Parameter '{name}' expects {'an int64' if signed else 'a uint64'} value")


def _check_size(name: str, text: str) -> None:
    try:
        size(name, text, "B")
    except OptionError:
        raise OptionError(f"Parameter '{name}' expects a size value") from None


def _check_nested(kind: str, given: Mapping[str, object]) -> None:
    heads = {name.partition(".")[0] for name in given}
    if kind == "dgram" and not heads & {"local", "remote"}:
        raise OptionError("dgram requires local= parameter")
    if kind == "stream" and "addr.type" not in given:
        raise OptionError(f"Parameter '{'addr.type' if 'addr' in heads else 'addr'}' is missing")


def _check_user(given: Mapping[str, object]) -> None:
    from qmpemu.machine.devices import user_network

    values = {name: switch(name, str(value)) if name in SWITCHES else value for name, value in given.items()}
    values |= {name: [{"str": given[name]}] for name in ("hostfwd", "guestfwd") if name in given}
    try:
        user_network.check(values)
    except Refused as refused:
        raise OptionError(str(refused)) from None
