"""Numbers on the human monitor's line are expressions: `2*(3+4)`, `0x10`, `'a'`. As measured on QEMU 7.2.

From the loosest to the tightest: + -, then & | ^, then * / %, then signs and brackets. 64 bits, wrapped.
"""

from __future__ import annotations

from re import compile as pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MASK = (1 << 64) - 1
LEVELS = ("+-", "&|^", "*/%")
NUMBER = pattern(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
REGISTER = pattern(r"\$[A-Za-z0-9_.]*")
BLANKS = " \t\n\v\f\r"


class Wrong(Exception):
    """An expression that cannot be read; the text is the monitor's."""


class Unemulated(Exception):
    """An expression that asks for what is not there: a processor's registers."""


def evaluate(text: str) -> tuple[int, str]:
    """The value, from 0 to 2^64 - 1, and what stands behind the expression. Raises Wrong, Unemulated."""
    return _level(text.lstrip(BLANKS), 0)


def _level(text: str, level: int) -> tuple[int, str]:
    if level == len(LEVELS):
        return _unary(text)
    value, text = _level(text, level + 1)
    while text and text[0] in LEVELS[level]:
        operator = text[0]
        right, text = _level(text[1:].lstrip(BLANKS), level + 1)
        if operator in "/%" and not right:
            raise Wrong("division by zero")
        value = OPERATORS[operator](value, right) & MASK
    return value, text


def _unary(text: str) -> tuple[int, str]:
    if not text:
        raise Wrong("unexpected end of expression")
    first = text[0]
    if first in "+-~":
        value, text = _unary(text[1:].lstrip(BLANKS))
        return {"+": value, "-": -value, "~": ~value}[first] & MASK, text
    if first == "(":
        value, text = _level(text[1:].lstrip(BLANKS), 0)
        if not text.startswith(")"):
            raise Wrong("')' expected")
        return value, text[1:].lstrip(BLANKS)
    if first == "'":
        return _character(text)
    if first == "$":
        found = REGISTER.match(text)
        raise Unemulated(found.group() if found else text)
    return _literal(text)


def _character(text: str) -> tuple[int, str]:
    if len(text) < 2:
        raise Wrong("character constant expected")
    if text[2:3] != "'":
        raise Wrong("missing terminating ' character")
    return ord(text[1]) & 0xFF, text[3:].lstrip(BLANKS)


def _literal(text: str) -> tuple[int, str]:
    found = NUMBER.match(text)
    if found is None:
        first = text.encode(errors="surrogateescape")[:1].decode(errors="surrogateescape")
        raise Wrong(f"invalid char '{first}' in expression")
    digits = found.group()
    value = int(digits, 8 if digits[0] == "0" and digits.isdigit() else 0)
    if value > MASK:
        raise Wrong("number too large")
    return value, text[found.end() :].lstrip(BLANKS)


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
