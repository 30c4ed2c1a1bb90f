"""-machine's properties: which there are, and which values each takes (texts measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.argv.parser import OPTIONS, Parser, Unprefixed
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.devices import options as values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SWITCHES = (
    "usb",
    "cxl",
    "hmat",
    "dump-guest-core",
    "graphics",
    "hpet",
    "nvdimm",
    "mem-merge",
    "sata",
    "smbus",
    "i8042",
)
"""Those that are told of by query-... and the object tree as they were given."""
AUTOMATIC = ("smm", "vmport", "acpi", "pit", "pic")
"""Properties that may be `auto` as well."""
IGNORED = ("type", "accel", "memory-backend", "kernel-irqchip", "kvm-shadow-mem", "igd-passthru")
"""What is taken with any value: it is the accelerator's, or looked at elsewhere."""
GROUPS = {"smp": "smp", "boot": "boot", "memory": "m"}
"""Beginnings of properties that are options of their own -> the option."""
ENTRY_POINTS = ("32", "64", "auto")
PERSISTENCE = ("cpu", "mem-ctrl")
TABLE_NAMES = {"x-oem-id": 6, "x-oem-table-id": 8}
BELOW_4G = 4 << 30
KERNEL = ("kernel", "initrd", "append")


def check(parser: Parser, given: dict[str, str]) -> None:
    """Look at each property. Raises OptionError, Unprefixed."""
    for name, value in given.items():
        _check(parser, name.replace("_", "-"), value, given)


def is_on(name: str, text: str) -> bool:
    """A switch. Raises Unprefixed."""
    if text not in values.ON + values.OFF:
        raise Unprefixed(f"Parameter '{name}' expects 'on' or 'off'")
    return text in values.ON


PARTS = {"cxl-fmw": "size", "sgx-epc": "memdev"}
"""Lists of parts -> what each part cannot be without."""


def _check_part(parser: Parser, head: str, rest: str, given: dict[str, str]) -> None:
    """A window for CXL, or memory for enclaves, which nothing here looks into."""
    number, needed = rest.partition(".")[0], PARTS[head]
    value = given.get(f"{head}.{number}.{needed}")
    if value is None:
        raise Unprefixed(f"Parameter '{head}.{number}.{needed}' is missing")
    if head == "sgx-epc":
        _object(parser, value, f"Device '{value}' not found")
    parser.config.not_emulated.append(parser.typed)


def _check(parser: Parser, name: str, value: str, given: dict[str, str]) -> None:
    head, _, rest = name.partition(".")
    if name in IGNORED:
        return
    if head in PARTS and rest:
        _check_part(parser, head, rest, given)
        return
    if rest and head in GROUPS:
        OPTIONS[GROUPS[head]](parser, f"{rest}={value}")
    elif name in AUTOMATIC:
        if value not in (*values.ON, *values.OFF, "auto"):
            raise Unprefixed(f"Parameter '{name}' does not accept value '{value}'")
    elif name in SWITCHES:
        is_on(name, value)
    elif name in KERNEL:
        parser.boots[name] = value
    elif name in SPECIAL:
        SPECIAL[name](parser, value)
    else:
        _by_kind(parser, name, value)


def _by_kind(parser: Parser, name: str, value: str) -> None:
    """A property of the recorded machine, by its type."""
    config = parser.config
    rows = dict(parser.profile.tree(config.family)["/machine"]["rows"])
    chips = (
        ("pflash0", "pflash1") if config.family != "none" else ()
    )  # gone from a recorded machine that has none
    kind = rows.get(name)
    if kind is None and name not in chips:
        raise Unprefixed(f"Property '{config.machine}-machine.{name}' not found")
    if kind == "bool":
        is_on(name, value)
    elif kind in values.INTEGERS:
        try:
            values.integer(name, str(kind), value)
        except Refused as refused:
            raise Unprefixed(str(refused)) from None


def _oem(name: str) -> Callable[[Parser, str], None]:
    def check_length(_: Parser, value: str) -> None:
        most = TABLE_NAMES[name]
        if len(value) > most:
            raise Unprefixed(f"User specified {name} value is bigger than {most} bytes in size")

    return check_length


def _firmware(parser: Parser, value: str) -> None:
    OPTIONS["bios"](parser, value)


def _below_4g(_: Parser, value: str) -> None:
    try:
        size = values.integer("max-ram-below-4g", "size", value)
    except Refused as refused:
        raise Unprefixed(str(refused)) from None
    if size > BELOW_4G:
        raise Unprefixed(f"Machine option 'max-ram-below-4g={size}' expects size less than or equal to 4G")


def _entry_point(_: Parser, value: str) -> None:
    if value not in ENTRY_POINTS:
        raise Unprefixed(f"Parameter 'smbios-entry-point-type' does not accept value '{value}'")


def _persistence(_: Parser, value: str) -> None:
    if value not in PERSISTENCE:
        raise Unprefixed(f"-machine nvdimm-persistence={value}: unsupported option")


def _encryption(parser: Parser, value: str) -> None:
    _object(parser, value, f"No such memory encryption object '{value}'")


def _guest_support(parser: Parser, value: str) -> None:
    _object(parser, value, f"Device '{value}' not found")


def _object(parser: Parser, name: str, text: str) -> None:
    """No object that encrypts memory can be made here, so that none is ever there."""
    if all(each.get("id") != name for each in parser.config.objects):
        raise Unprefixed(text)


def _speaker(parser: Parser, value: str) -> None:
    parser.speaker = value


SPECIAL: dict[str, Callable[[Parser, str], None]] = {
    "firmware": _firmware,
    "max-ram-below-4g": _below_4g,
    "smbios-entry-point-type": _entry_point,
    "nvdimm-persistence": _persistence,
    "memory-encryption": _encryption,
    "confidential-guest-support": _guest_support,
    "pcspk-audiodev": _speaker,
    **{name: _oem(name) for name in TABLE_NAMES},
}


def items(argument: str) -> None:
    """Whether each word behind the first is a property with a value. Raises OptionError."""
    from qmpemu.core.options import split_items

    for position, item in enumerate(split_items(argument)):
        if item and position and "=" not in item:
            raise OptionError(f"Expected '=' after parameter '{item}'")
