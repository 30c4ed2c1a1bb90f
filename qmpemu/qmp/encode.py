"""JSON as QEMU writes it: ASCII, `", "` and `": "`, members in hash order, numbers by QEMU's rules (facts §1, §3.2).

A double beyond JSON's reach leaves QEMU as `inf`, which is not JSON (facts/qmp-wire.md §3.2 calls it a bug): here it
leaves as `1e+999`, which every JSON parser reads as infinity.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii

from qmpemu.qmp.order import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SHORT_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
INT64_MIN, UINT64_MAX = -(2**63), 2**64 - 1
INDENT = "    "


class Raw(bytes):
    """JSON that is encoded already, e.g. recorded from the real QEMU; it passes through unchanged."""


def encode(value: object) -> bytes:
    """`value` on one line, without line end. Values: None, bool, int, float, str, list, dict, Raw."""
    return value if isinstance(value, Raw) else _text(value).encode("ascii")


def encode_pretty(value: object) -> bytes:
    """`value` as a `pretty=on` monitor prints it: four spaces a level, CRLF, empty brackets on two lines."""
    return _pretty(value, "\r\n").encode("ascii")


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
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return writer(value)


def _object(value: dict[str, object]) -> str:
    return "{" + ", ".join([f"{string(name)}: {_text(member)}" for name, member in ordered(value)]) + "}"


def _array(value: list[object]) -> str:
    return "[" + ", ".join(map(_text, value)) + "]"


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


def _pretty(value: object, line: str) -> str:
    if isinstance(value, Raw):
        from qmpemu.qmp.lexer import Lexer

        value = next(iter(Lexer().feed(value + b" ")))
    if isinstance(value, dict):
        rows = [f"{string(name)}: {_pretty(member, line + INDENT)}" for name, member in ordered(value)]
        brackets = "{}"
    elif isinstance(value, list | tuple):
        rows, brackets = [_pretty(member, line + INDENT) for member in value], "[]"
    else:
        return _text(value)
    inside = ",".join(f"{line}{INDENT}{row}" for row in rows)
    return f"{brackets[0]}{inside}{line}{brackets[1]}"


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
