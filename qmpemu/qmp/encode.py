"""JSON as QEMU writes it: ASCII, `", "` and `": "`, members in hash order, numbers by QEMU's rules (facts §1, §3.2).

A double beyond JSON's reach leaves QEMU as `inf`, which is not JSON (facts/qmp-wire.md §3.2 calls it a bug): here it
leaves as `1e+999`, which every JSON parser reads as infinity.
"""

from __future__ import annotations

from _json import encode_basestring_ascii  # `json` itself imports `re`, which costs the start 10 ms

from qmpemu.qmp.order import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
INT64_MIN, UINT64_MAX = -(2**63), 2**64 - 1
INDENT = "    "


class Raw(bytes):
    """JSON that is encoded already, e.g. recorded from the real QEMU; it passes through unchanged."""


def encode(value: object) -> bytes:
    """`value` on one line, without line end. Values: None, bool, int, float, str, list, dict, Raw."""
    if isinstance(value, Raw):
        return value
    try:
        return _text(value).encode("ascii")
    except RecursionError:  # an echoed id may be 1023 levels deep (facts §4.7)
        return _laid_out(value, pretty=False).encode("ascii")


def compact(value: object) -> bytes:
    """`value` in as few bytes as it takes, members as they were put in; for a QEMU, where they stand so again."""
    return _compact(value).encode("ascii")


def encode_pretty(value: object) -> bytes:
    """`value` as a `pretty=on` monitor prints it: four spaces a level, CRLF, empty brackets on two lines."""
    return _laid_out(value, pretty=True).encode("ascii")


def string(text: str) -> str:
    """`text` as a JSON string."""
    if text.isascii() and text.isprintable():
        return encode_basestring_ascii(text) if '"' in text or "\\" in text else f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def number(value: float) -> str:
    """A number: integers of 64 bits exactly, anything else as a double with 17 digits."""
    if isinstance(value, int) and INT64_MIN <= value <= UINT64_MAX:
        return str(value)
    try:
        value = float(value)
    except OverflowError:
        value = float("inf") if value > 0 else float("-inf")
    if value - value != 0:  # infinite or not a number
        return "-1e+999" if value < 0 else "1e+999"
    return f"{value:.17g}"


def _text(value: object) -> str:
    writer = _WRITERS.get(type(value)) or _WRITERS.get(type(value).__base__ or object)
    if writer is None:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return writer(value)


def _object(value: dict[str, object]) -> str:
    return "{" + ", ".join([f"{string(name)}: {_text(member)}" for name, member in ordered(value)]) + "}"


def _array(value: list[object]) -> str:
    return "[" + ", ".join(map(_text, value)) + "]"


def _compact(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ",".join([f"{string(name)}:{_compact(member)}" for name, member in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_compact, value)) + "]"
    return _text(value)


_WRITERS: dict[type, Callable[..., str]] = {
    dict: _object,
    list: _array,
    tuple: _array,
    str: string,
    int: number,
    float: number,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
    Raw: lambda value: value.decode("ascii"),
}


def _laid_out(value: object, *, pretty: bool) -> str:
    """Any depth, without recursion: on one line, or as a pretty monitor lays it out."""
    pieces: list[str] = []
    open_ones: list[tuple[Iterator[tuple[str, object]], str]] = []
    name, is_first = "", False
    while True:
        pieces.append(name)
        if pretty and isinstance(value, Raw):
            value = _decoded(value)
        if isinstance(value, dict | list | tuple):
            opening, closing = "{}" if isinstance(value, dict) else "[]"
            open_ones.append((_rows(value), closing))
            pieces.append(opening)
            is_first = True
        else:
            pieces.append(_text(value))
        while open_ones:
            row = next(open_ones[-1][0], None)
            if row is not None:
                pieces.append(_between(is_first, len(open_ones), pretty))
                (name, value), is_first = row, False
                break
            closing = open_ones.pop()[1]
            pieces.append(_between(True, len(open_ones), pretty) + closing)
            is_first = False
        else:
            return "".join(pieces)


def _between(is_first: bool, depth: int, pretty: bool) -> str:
    """What stands in front of a row or a closing bracket."""
    if pretty:
        return ("" if is_first else ",") + "\r\n" + INDENT * depth
    return "" if is_first else ", "


def _rows(value: dict[str, object] | list[object] | tuple[object, ...]) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        return ((f"{string(name)}: ", member) for name, member in ordered(value))
    return (("", member) for member in value)


def _decoded(value: Raw) -> object:
    """What was encoded once, its members turned round: within a hash bucket the newest is printed first."""
    from json import loads

    return loads(value, object_pairs_hook=lambda members: dict(reversed(members)))


def _escaped(character: str) -> str:
    code = ord(character)
    if code in SHORT_ESCAPES:
        return SHORT_ESCAPES[code]
    if 0x20 <= code < 0x7F:
        return character
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04X}\\u{0xDC00 + (code & 0x3FF):04X}"
    return f"\\u{code:04X}"
