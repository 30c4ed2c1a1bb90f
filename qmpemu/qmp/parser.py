"""Tokens of one balanced message -> one value, or the first thing wrong with it, in QEMU's words (facts §4.1).

Not recursive: QEMU accepts a nesting of 1024, more than Python's own stack is made for.
"""

from __future__ import annotations

from codecs import register_error

from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

KEYWORDS: dict[bytes, object] = {b"true": True, b"false": False, b"null": None}
MESSAGE_MAX = 1023
"""Characters of a parse error's text behind `JSON parse error, `; QEMU cuts longer ones (measured)."""
NONCHARACTERS = frozenset(
    map(
        chr,
        [
            *range(0xFDD0, 0xFDF0),
            *(plane + low for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)),
        ],
    )
)
_WITHOUT_NONCHARACTERS = dict.fromkeys(map(ord, NONCHARACTERS), "\ufffd")
_ILL_FORMED = "qmpemu.qmp.ill-formed"
HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
ESCAPES = {98: "\b", 102: "\f", 110: "\n", 114: "\r", 116: "\t", 34: '"', 39: "'", 47: "/", 92: "\\"}


def parse_error(what: str) -> QmpError:
    """A message that is lexically fine and grammatically not."""
    return QmpError(f"JSON parse error, {what}")


class _Open:
    """A container that is being filled. key: of the member whose value comes next; None where that value is the key."""

    __slots__ = ("key", "value")

    def __init__(self, value: dict[str, object] | list[object]) -> None:
        self.value = value
        self.key: str | None = None


def parse(tokens: Sequence[bytes]) -> object:
    """The value of `tokens`. Raises QmpError."""
    tokens = [*tokens, b""]  # an empty token at the end stands for "nothing follows"
    stack: list[_Open] = []
    at = 0
    while True:
        token = tokens[at]
        at += 1
        if token in (b"{", b"["):
            opened = _Open({} if token == b"{" else [])
            if tokens[at] != (b"}" if token == b"{" else b"]"):
                stack.append(opened)
                at = _key(opened, tokens, at)
                continue
            at += 1
            value: object = opened.value
        else:
            value = _scalar(token)
        while stack:  # put the value where it belongs, and close what ends behind it
            top = stack[-1]
            _put(top, value)
            follows = tokens[at]
            at += 1
            if follows == b",":
                at = _key(top, tokens, at)
                break
            is_list = isinstance(top.value, list)
            if follows != (b"]" if is_list else b"}"):
                raise parse_error(f"expected separator in {'list' if is_list else 'dict'}")
            value = stack.pop().value
        else:
            return value


def _key(opened: _Open, tokens: Sequence[bytes], at: int) -> int:
    """Read `"name":` in front of an object's member; an array has none."""
    if isinstance(opened.value, list):
        return at
    token = tokens[at]
    if token[:1] not in (b'"', b"'"):
        opened.key = None
        return at  # what stands here is read as a value, whose own errors come first; then `_put` refuses it
    name = _string(token)
    if tokens[at + 1] != b":":
        raise parse_error("missing : in object pair")
    opened.key = name
    return at + 2


def _put(top: _Open, value: object) -> None:
    if isinstance(top.value, list):
        top.value.append(value)
    elif top.key is None:
        raise parse_error("key is not a string in object")
    elif top.key in top.value:
        raise parse_error("duplicate key")
    else:
        top.value[top.key] = value


def _scalar(token: bytes) -> object:
    first = token[:1]
    if first in (b'"', b"'"):
        return _string(token)
    if first.isalpha():
        if token not in KEYWORDS:
            raise parse_error(f"invalid keyword '{token.decode('ascii')}'"[:MESSAGE_MAX])
        return KEYWORDS[token]
    if first.isdigit() or first == b"-":
        return _number(token)
    raise parse_error("expecting value" if token else "premature EOI")


def _number(token: bytes) -> int | float:
    """64-bit integers exactly, everything else as a double (facts §3.2)."""
    if token.lstrip(b"-").isdigit() and len(token) <= 20:
        value = int(token)
        if -(2**63) <= value < 2**64:
            return value
    return float(token)


def _string(token: bytes) -> str:
    body = token[1:-1]
    if body.isascii() and b"\\" not in body:
        return body.decode("ascii")
    plain, *escaped = body.split(b"\\")
    escaped.append(token[-1:])  # only ever read by an escape that is cut short by the closing quote
    pieces = [decode_utf8(plain)]
    at = 0
    while at < len(escaped) - 1:
        at += _unescape(escaped, at, pieces)
    return "".join(pieces)


def _unescape(escaped: list[bytes], at: int, pieces: list[str]) -> int:
    """Append the text of the escape that begins `escaped[at]` and what follows it; how many items were used."""
    piece = escaped[at]
    if not piece:  # "\\\\" splits into two: this backslash escapes the next one
        pieces += ["\\", decode_utf8(escaped[at + 1])]
        return 2
    if piece[0] != 0x75:
        if piece[0] not in ESCAPES:
            raise parse_error("invalid escape sequence in string")
        pieces += [ESCAPES[piece[0]], decode_utf8(piece[1:])]
        return 1
    code, raw, used = _hex(piece), piece[:5], 1
    if len(raw) < 5:
        raw = (raw + b"\\".join([b"", *escaped[at + 1 : -1]]) + escaped[-1])[:5]
    if 0xD800 <= code <= 0xDBFF and len(piece) == 5 and escaped[at + 1][:1] == b"u":
        low = _hex(escaped[at + 1])
        if 0xDC00 <= low <= 0xDFFF:
            code, used = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF), 2
            raw += b"\\" + escaped[at + 1][:5]
    if code < 0 or 0xD800 <= code <= 0xDFFF or chr(code) in NONCHARACTERS:
        raise parse_error(f"\\{decode_loosely(raw)} is not a valid Unicode character")
    pieces += [chr(code), decode_utf8(escaped[at + used - 1][5:])]
    return used


def _hex(piece: bytes) -> int:
    """The code of `uXXXX...`, -1 for bad digits."""
    digits = piece[1:5]
    return int(digits, 16) if len(digits) == 4 and HEX_DIGITS.issuperset(digits) else -1


def decode_utf8(data: bytes) -> str:
    """Decode modified UTF-8: C0 80 stands for NUL; noncharacters are refused. Raises QmpError."""
    if data.isascii():
        return data.decode("ascii")
    try:
        text = data.replace(b"\xc0\x80", b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise parse_error("invalid UTF-8 sequence in string") from None
    if not NONCHARACTERS.isdisjoint(text):
        raise parse_error("invalid UTF-8 sequence in string")
    return text


def decode_loosely(data: bytes) -> str:
    """Decode text for an error message: each ill-formed sequence and each noncharacter becomes U+FFFD."""
    text = data.decode("utf-8", _ILL_FORMED)
    return text if NONCHARACTERS.isdisjoint(text) else text.translate(_WITHOUT_NONCHARACTERS)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """An error handler for `bytes.decode`: a lead byte and the continuation bytes it asks for count as one."""
    assert isinstance(error, UnicodeDecodeError)
    data, at = error.object, error.start
    lead = data[at]
    wanted = (
        8 - (lead ^ 0xFF).bit_length() if 0xC0 <= lead < 0xFE else 1
    )  # as many as there are leading one bits
    end = at + 1
    while end < min(at + wanted, len(data)) and 0x80 <= data[end] < 0xC0:
        end += 1
    return ("\0" if data[at:end] == b"\xc0\x80" else "\ufffd"), end


register_error(_ILL_FORMED, _replaced)
