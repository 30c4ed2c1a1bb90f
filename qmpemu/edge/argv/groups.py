"""The words of an option, read as the recorded query-command-line-options says of its group.

An id is looked at first, then each parameter as it comes (measured on QEMU 7.2).
"""

from __future__ import annotations

from qmpemu.core.options import is_identifier, split_items
from qmpemu.edge import keyval
from qmpemu.edge.argv.parser import Parser
from qmpemu.edge.keyval import OptionError

NO_IDENTIFIER = (
    "Parameter 'id' expects an identifier\n"
    "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
)


def read(parser: Parser, group: str, argument: str, implied: str | None = None) -> dict[str, str]:
    """Name -> value, `id` among them. Raises OptionError."""
    options = keyval.parse(argument, implied)
    _warn(parser, argument, implied)
    check_id(parser, group, options.get("id"))
    known = parser.profile.parameters(group)
    for name, value in options.items():
        if name == "id":
            continue
        if name not in known:
            raise OptionError(f"Invalid parameter '{name}'")
        if known[name] == "boolean":
            keyval.switch(name, value)
        elif known[name] == "number":
            number(name, value)
    return options


def check_id(parser: Parser, group: str, name: str | None) -> None:
    """Whether a group may have that id. Raises OptionError."""
    if name is None:
        return
    if not is_identifier(name):
        raise OptionError(NO_IDENTIFIER)
    if name in parser.ids.setdefault(group, set()):
        raise OptionError(f"Duplicate ID '{name}' for {group}")
    parser.ids[group].add(name)


def number(name: str, text: str) -> int:
    """A number in any base. Raises OptionError."""
    try:
        return int(text, 8 if text[:1] == "0" and text.isdigit() else 0)
    except ValueError:
        raise OptionError(f"Parameter '{name}' expects a number") from None


def grouped_uuid(text: str) -> str | None:
    """A UUID in small letters with its dashes; None for what is none."""
    digits = text.replace("-", "").lower()
    grouped = [len(part) for part in text.split("-")] in ([32], [8, 4, 4, 4, 12])
    if not grouped or any(char not in "0123456789abcdef" for char in digits):
        return None
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _warn(parser: Parser, argument: str, implied: str | None) -> None:
    """Of switches that are given without a value."""
    for place, item in enumerate(split_items(argument)):
        if "=" in item or not item or (place == 0 and implied is not None):
            continue
        parser.warn_switch(item)
