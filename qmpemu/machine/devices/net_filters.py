"""Filters of networks (-object filter-*): what they are refused for, and where each stands among those of its network.

No packet moves, so none is kept back, copied or written down: a dump has its header. Texts: QEMU 7.2's.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError, device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.host import Host

BEGINNING = "filter-"
MAXLEN = 65536
ETHERNET = 1
SHOWN: dict[str, dict[str, object]] = {
    "filter-buffer": {"interval": 0},
    "filter-dump": {"file": "", "maxlen": MAXLEN},
    "filter-mirror": {"vnet_hdr_support": False, "outdev": ""},
    "filter-redirector": {"vnet_hdr_support": False, "indev": "", "outdev": ""},
    "filter-replay": {},
    "filter-rewriter": {"vnet_hdr_support": False},
}
"""Type -> what `info network` tells of it first, and what that is unless told otherwise."""
EVERY: dict[str, object] = {
    "position": "tail",
    "status": "on",
    "insert": "behind",
    "netdev": "",
    "queue": "all",
}
"""What it tells of each."""


def check(
    given: Mapping[str, Any], others: Mapping[str, UserObject], chardevs: Mapping[str, Chardev]
) -> None:
    """What a filter cannot be made with. Raises Refused, QmpError."""
    kind = given["qom-type"]
    if kind == "filter-buffer" and not given.get("interval"):
        raise Refused("Property 'filter-buffer.interval' requires a positive value")
    if given.get("status", "on") not in ("on", "off"):
        raise Refused("Invalid value for netfilter status, should be 'on' or 'off'")
    _check_position(given, others)
    if kind == "filter-mirror" and given.get("outdev") and given["outdev"] not in chardevs:
        raise device_not_found(str(given["outdev"]))
    if kind == "filter-redirector":
        _check_redirector(given, chardevs)


def _check_position(given: Mapping[str, Any], others: Mapping[str, UserObject]) -> None:
    position = str(given.get("position", "tail"))
    if position in ("head", "tail"):
        return
    if not position.startswith("id="):
        raise Refused("Parameter 'position' expects 'head', 'tail' or 'id=<id>'")
    name = position.removeprefix("id=")
    if name == given["id"]:
        raise Refused(f"filter '{name}' belongs to a different netdev")
    found = others.get(name)
    if found is None or not found.kind.startswith(BEGINNING):
        raise Refused(f"filter '{name}' not found")
    if found.given.get("netdev") != given.get("netdev"):
        raise Refused(f"filter '{name}' belongs to a different netdev")


def _check_redirector(given: Mapping[str, Any], chardevs: Mapping[str, Chardev]) -> None:
    here, there = given.get("indev"), given.get("outdev")
    if not here and not there:
        raise Refused("filter redirector needs 'indev' or 'outdev' at least one property set")
    if here == there:
        raise Refused("'indev' and 'outdev' could not be same for filter redirector")
    for name, end in ((here, "IN"), (there, "OUT")):
        if name and name not in chardevs:
            raise QmpError(f"{end} Device '{name}' not found", "DeviceNotFound")
    if here:
        chardevs[here].taken = chardevs[here].frontend_open = True


def begin_dump(given: Mapping[str, Any], _: object, host: Host) -> None:
    """Make the file, with the header of a capture of Ethernet (libpcap's, as this machine writes numbers)."""
    path = str(given["file"])
    most = int(given.get("maxlen", MAXLEN))
    words = (0xA1B2C3D4, 2 | 4 << 16, 0, 0, most, ETHERNET)  # version 2.4
    header = b"".join(number.to_bytes(4, "little") for number in words)
    try:
        host.write_dump(host.open_dump(path, 0o644), iter([header]), lambda _: None)
    except OSError as error:
        raise Refused(f"net dump: can't open {path}: {error.strerror}") from None


def shown(netdev: str, others: Mapping[str, UserObject]) -> list[str]:
    """Those of a network in their order, as `info network` tells of them."""
    order: list[UserObject] = []
    for made in others.values():
        if made.kind in SHOWN and made.given.get("netdev") == netdev:
            _insert(order, made)
    return [f"  - {made.given['id']}: type={made.kind}{_words(made)}\r\n" for made in order]


def _insert(order: list[UserObject], made: UserObject) -> None:
    position = str(made.given.get("position", "tail"))
    place = 0 if position == "head" else len(order)
    for number, each in enumerate(order):
        if position == f"id={each.given['id']}":
            place = number + int(made.given.get("insert", "behind") == "behind")
    order.insert(place, made)


def _words(made: UserObject) -> str:
    told = {**SHOWN[made.kind], **EVERY}
    values = ((name, made.values.get(name, default)) for name, default in told.items())
    return "".join(
        f",{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in values
    )
