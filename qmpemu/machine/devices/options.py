"""Option values -> property values, as QEMU 7.2 converts them for -device and device_add (texts measured)."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.properties import check_set
from qmpemu.qmp.order import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.machine.devices.catalog import Listed, Recorded
    from qmpemu.machine.devices.table import Device

    About = Recorded | Listed

UNSETTABLE = frozenset("attached guest-stats hotplugged hotpluggable parent_bus type legacy-addr".split())
"""Properties that only tell something."""
EVERY_DEVICES = frozenset("hotplugged hotpluggable parent_bus type legacy-addr".split())
"""Those that a device has itself, whatever is behind its bus."""
NOT_PROPERTIES = ("driver", "id", "bus")
ON, OFF = ("on", "yes", "true", "y"), ("off", "no", "false", "n")
INTEGERS = {
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int": (-(2**63), 2**63 - 1),
    "size": (0, 2**64 - 1),
}
ENUMERATIONS = {
    "OnOffAuto": ("auto", "on", "off"),
    "BlockdevOnError": ("report", "ignore", "enospc", "stop", "auto"),
    "BiosAtaTranslation": ("auto", "none", "lba", "large", "rechs"),
    "FdcDriveType": ("144", "288", "120", "none", "auto"),
    "LostTickPolicy": ("discard", "delay", "slew"),
    "OffAutoPCIBAR": ("off", "auto", "bar0", "bar1", "bar2", "bar3", "bar4", "bar5"),
}
MULTIPLES = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}


def values(about: About, options: dict[str, object]) -> dict[str, object]:
    """Each option as its property's value, in the order in which QEMU sets them. Raises Refused."""
    kinds = about.kinds()
    found: dict[str, object] = {}
    for name, given in ordered(options):
        if name in NOT_PROPERTIES:
            continue
        if name in UNSETTABLE and (name in kinds or name in EVERY_DEVICES):
            owner = about.type_name if name in EVERY_DEVICES else about.owner(name)
            raise Refused(f"Property '{owner}.{name}' is not writable")
        if name not in kinds:
            why = "is not writable" if about.has_part(name) else "not found"
            raise Refused(f"Property '{about.type_name}.{name}' {why}")
        if name == "drive" and given == "":
            continue
        found[name] = _value(about, name, kinds[name], given)
    return found


def _value(about: About, name: str, kind: str, given: object) -> object:
    if name == "addr":
        return _pci_address(about, given)
    if name in ("mac", "macaddr"):
        return _mac(about, name, given)
    if name == "guid" and given != "auto" and not _is_uuid(str(given)):
        raise Refused(f"Property '{about.owner(name)}.{name}' doesn't take value '{given}'")
    if kind == "bool":
        return _switch(name, given)
    if kind in INTEGERS:
        number = integer(name, kind, given)
        check_set(name, number)
        return number
    if kind in ENUMERATIONS and not isinstance(given, str):
        raise Refused(f"Invalid parameter type for '{name}', expected: string")
    if kind in ENUMERATIONS and given not in ENUMERATIONS[kind]:
        raise Refused(f"Parameter '{name}' does not accept value '{given}'")
    return given


def _switch(name: str, given: object) -> bool:
    if isinstance(given, bool):
        return given
    if given in ON or given in OFF:
        return given in ON
    raise Refused(f"Parameter '{name}' expects 'on' or 'off'")


def integer(name: str, kind: str, given: object) -> int:
    """A number of that QOM type. Raises Refused."""
    low, high = INTEGERS[kind]
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise Refused(f"Parameter '{name}' expects integer")
    try:
        number = given if isinstance(given, int) else _number(given, sized=kind == "size")
    except ValueError:
        raise Refused(f"Parameter '{name}' expects {'size' if kind == 'size' else 'integer'}") from None
    if kind == "uint64" and -(2**63) <= number < 0:
        number += 2**64
    if not low <= number <= high:
        if kind == "size":
            raise Refused(f"Parameter '{name}' expects size")
        if kind in ("uint64", "int") or not -(2**63) <= number < 2**64:
            raise Refused(f"Parameter '{name}' expects integer")
        raise Refused(f"Parameter '{name}' expects {kind}_t")
    return number


def _number(text: str, *, sized: bool) -> int:
    if sized and text[-1:].lower() in MULTIPLES:
        if text[:2].lower() != "0x":
            return int(float(text[:-1]) * (1 << MULTIPLES[text[-1].lower()]))
        if text[-1].lower() != "b":
            return int(text[:-1], 0) << MULTIPLES[text[-1].lower()]
    return int(text, 0)


def _pci_address(about: About, given: object) -> object:
    """devfn from a number, or from SLOT[.FUNCTION] in hexadecimal."""
    if isinstance(given, int) or not about.is_pci:
        return given
    slot, _, function = str(given).partition(".")
    try:
        numbers = int(slot, 16), int(function or "0", 16)
    except ValueError:
        numbers = 32, 0
    if not 0 <= numbers[0] < 32 or not 0 <= numbers[1] < 8:
        raise Refused(f"Property '{about.owner('addr')}.addr' doesn't take value '{given}'")
    return numbers[0] * 8 + numbers[1]


def _is_uuid(text: str) -> bool:
    parts = text.split("-")
    return [len(each) for each in parts] == UUID_PARTS and all(map(_is_hex, parts))


UUID_PARTS = [8, 4, 4, 4, 12]


def _mac(about: About, name: str, given: object) -> str:
    parts = str(given).replace("-", ":").split(":")
    if len(parts) != 6 or any(len(part) != 2 or not _is_hex(part) for part in parts):
        raise Refused(f"Property '{about.owner(name)}.{name}' doesn't take value '{given}'")
    return ":".join(parts).lower()


def _is_hex(text: str) -> bool:
    return all(char in "0123456789abcdefABCDEF" for char in text)


QUEUES = {"virtio-blk": ("num-queues", 0xFFFF, 1), "virtio-scsi": ("num_queues", 0xFFFF_FFFF, 3)}
"""Beginning of a type -> the option for its queues, what that is unset, how many vectors there are beside theirs."""
QUEUES_MAX = 1024
UNSET_VECTORS = 0xFFFF_FFFF


def set_queues(kind: str, values: dict[str, object], processors: int) -> None:
    """Of a disk or its controller that say nothing of it: a queue for each processor, a vector for each queue."""
    for beginning, (name, unset, more) in QUEUES.items():
        if not kind.startswith(beginning):
            continue
        if values.get(name, unset) == unset:
            values[name] = min(processors, QUEUES_MAX - more + 1)
        if values.get("vectors", UNSET_VECTORS) == UNSET_VECTORS:
            values["vectors"] = int(str(values[name])) + more


NO_ADDRESS = "00:00:00:00:00:00"
ADDRESS, FIRST_ADDRESS = "52:54:00:12:34:", 0x56
"""What the hardware addresses of cards begin with that are given none, and how the first one ends."""


def address(given: object, others: Iterable[Device]) -> object:
    """A card's hardware address: the first that no other has, where none is given."""
    if given not in (None, NO_ADDRESS):
        return given
    taken = {each.values.get("mac") for each in others}
    number = FIRST_ADDRESS
    while f"{ADDRESS}{number:02x}" in taken:
        number += 1
    return f"{ADDRESS}{number:02x}"
