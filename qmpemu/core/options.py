"""QEMU's `key=value,key=value` syntax, of options and of the human monitor's verbs, and its identifiers.

`,,` is a comma inside a value; the first item may lack its key (the option's implied key); a bare `flag` means
`flag=on` and `noflag` means `flag=off` (both deprecated by QEMU, both still sent by old scripts).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class OptionError(Exception):
    """A command line that QEMU refuses: the text after `qemu-system-x86_64: `, maybe of several lines."""

    release: Callable[[], object] = int
    """Closes what was opened before: after the text is out, since whoever sees a socket close looks for it."""
    program: str | None = None
    """What stands in front, where it is not the program's name."""
    warnings: Sequence[str] = ()
    """What is said before it."""
    located = False
    """Whether the text names already where in the command line, or in a file of options, it went wrong."""
    stamped = False
    """Whether the time stands before it (-msg timestamp=on)."""


SIZE_SUFFIXES = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}


HEX_SUFFIXES = ("K", "M", "G", "T", "P")
"""Those that are no digits of a hexadecimal number; QEMU warns of them there."""


def is_identifier(name: str) -> bool:
    """Whether QEMU takes it as an id: a letter, then letters, digits, `-`, `.` and `_`."""
    return name[:1].isalpha() and name.isascii() and all(c.isalnum() or c in "-._" for c in name)


def split_items(text: str) -> list[str]:
    """Split at single commas; doubled ones become one comma."""
    parts = text.split(",")
    items, i = [], 0
    while i < len(parts):
        item = parts[i]
        while i + 2 < len(parts) and parts[i + 1] == "":  # "a,,b" splits to a, "", b
            item += "," + parts[i + 2]
            i += 2
        items.append(item)
        i += 1
    return items


def parse(text: str, implied: str | None = None) -> dict[str, str]:
    """The options of `text`; a later value of the same key wins. `implied` names the key of a bare first item."""
    options: dict[str, str] = {}
    for position, item in enumerate(split_items(text)):
        key, equals, value = item.partition("=")
        if equals:
            options[key] = value
        elif position == 0 and implied is not None:
            options[implied] = item
        elif item.startswith("no") and len(item) > 2:
            options[item[2:]] = "off"
        elif item:
            options[item] = "on"
    return options


def switch(key: str, value: str) -> bool:
    """A boolean option's value. Raises OptionError."""
    if value in ("on", "yes", "true", "y"):
        return True
    if value in ("off", "no", "false", "n"):
        return False
    raise OptionError(f"Parameter '{key}' expects 'on' or 'off'")


def size(key: str, value: str, default_suffix: str) -> int:
    """A size in bytes: decimal, with a fraction only of a suffix' unit, or hexadecimal. Raises OptionError."""
    number, shift = value, SIZE_SUFFIXES[default_suffix]
    hexadecimal = value[:2].lower() == "0x"
    if value[-1:].upper() in (HEX_SUFFIXES if hexadecimal else SIZE_SUFFIXES):
        number, shift = value[:-1], SIZE_SUFFIXES[value[-1].upper()]
    try:
        count = int(number, 16) if hexadecimal else _decimal(number, fraction=shift > 0)
    except ValueError:
        raise OptionError(
            f"Parameter '{key}' expects a non-negative number below 2^64\n"
            "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
            "and exabytes, respectively."
        ) from None
    if count * (1 << shift) >= 1 << 64:
        raise OptionError(f"Value '{value}' is out of range for parameter '{key}'")
    return int(count * (1 << shift))


def _decimal(text: str, *, fraction: bool) -> float:
    """A number without an exponent. Raises ValueError."""
    digits = text.lstrip().removeprefix("+")
    whole, dot, rest = digits.partition(".")
    if not whole.isdigit() or (dot and not fraction) or (rest and not rest.isdigit()):
        raise ValueError(text)
    return float(digits) if rest else int(whole)
