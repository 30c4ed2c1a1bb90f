"""Bytes -> JSON values, framed by token and never by line: an object is complete when its brackets balance.

    feed ──> quick path: C json parses a whole, harmless object in place
       └──> exact path: tokens ──brackets balance──> parser ──> value or error         (facts/qmp-wire.md §1.4, §4)

The quick path takes only what both dialects read alike; at the least doubt the exact path reads the message from its
first byte. Limits are QEMU's own: nesting 1024, 2,097,152 tokens, 64 MiB of token text a message.
"""

from __future__ import annotations

from _json import make_scanner  # `json` itself imports `re`, which costs the start 10 ms

from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.parser import decode_loosely, parse
from qmpemu.qmp.tokens import TOKEN_BYTES_MAX, LexicalError, Tokenizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NESTING_MAX = 1024
TOKENS_MAX = 2 << 20
_DEEP_BYTES = 512
"""An object shorter than this cannot be nested deeper than Python's own limits allow."""


class Lexer:
    """One connection's input. `quick=False` takes the exact path always (tests compare the two)."""

    __slots__ = ("_braces", "_brackets", "_bytes", "_quick", "_tokenizer", "_tokens")

    def __init__(self, *, quick: bool = True) -> None:
        self._quick = quick
        self._tokenizer = Tokenizer()
        self._tokens: list[bytes] = []
        self._braces = self._brackets = self._bytes = 0

    @property
    def between_messages(self) -> bool:
        """Whether nothing is half-read."""
        return not self._tokens and self._tokenizer.at_start

    def feed(self, data: bytes) -> Iterator[object]:
        """Each value completed by `data`, or a QmpError in the place of one that is wrong."""
        if self._quick and not _is_harmless(data):
            return self._read_lines(data)
        return self._read(data, data.decode("ascii") if self._quick else "")

    def _read_lines(self, data: bytes) -> Iterator[object]:
        """Line by line, so that a line for the exact path does not send its neighbours there."""
        for line in data.splitlines(keepends=True):
            yield from self._read(line, line.decode("ascii") if _is_harmless(line) else "")

    def _read(self, data: bytes, text: str) -> Iterator[object]:
        """Read `data`; `text` is the same for the quick path, or empty where only the exact path may look."""
        at, size = 0, len(data)
        while at < size:
            if text and not self._tokens and self._tokenizer.at_start:
                while at < size and text[at] in " \t\r\n":
                    at += 1
                if at == size:
                    return
                if text[at] == "{":
                    found = _scan(text, at)
                    if found is not None:
                        value, at = found
                        yield value
                        continue
            for token, after in self._tokenizer.feed(data, at):
                at = after
                ended, value = self._take(token)
                if ended:
                    yield value
                    break
            else:
                return

    def _take(self, token: bytes | LexicalError) -> tuple[bool, object]:
        """Add a token to the message: whether it ended, and with what."""
        try:
            if isinstance(token, LexicalError):
                raise QmpError(f"JSON parse error, stray '{_shown(token.text)}'")
            if not self._balanced_by(token):
                return False, None
            value: object = parse(self._tokens)
        except QmpError as error:
            value = error
        self._tokens.clear()
        self._braces = self._brackets = self._bytes = 0
        return True, value

    def _balanced_by(self, token: bytes) -> bool:
        """Count `token` in; True when the message is complete. Kinds of brackets are counted, not matched."""
        if token in (b"{", b"}"):
            self._braces += 1 if token == b"{" else -1
        elif token in (b"[", b"]"):
            self._brackets += 1 if token == b"[" else -1
        self._bytes += len(token)
        if self._bytes > TOKEN_BYTES_MAX:
            raise QmpError("JSON token size limit exceeded")
        if len(self._tokens) >= TOKENS_MAX:
            raise QmpError("JSON token count limit exceeded")
        if self._braces + self._brackets > NESTING_MAX:
            raise QmpError("JSON nesting depth limit exceeded")
        self._tokens.append(token)
        open_ones = self._braces > 0 or self._brackets > 0
        return not open_ones or self._braces < 0 or self._brackets < 0


class _Doubt(Exception):
    """C json may read this differently from QEMU."""


def _doubt(_: str) -> object:
    raise _Doubt


def _integer(digits: str) -> int:
    if len(digits) > 18:  # may leave 64 bits
        raise _Doubt
    return int(digits)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Doubt  # a duplicate key, which C json lets pass
    return members


class _Dialect:
    """The options C json's scanner is made with."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_members)
    parse_float = staticmethod(_doubt)
    parse_int = staticmethod(_integer)
    parse_constant = staticmethod(_doubt)
    memo: dict[str, str] = {}


_scanner = make_scanner(_Dialect())  # type: ignore[arg-type]  # the stub knows no duck typing
_DOUBTS = (_Doubt, StopIteration, ValueError, RecursionError, SystemError)
"""SystemError: Python 3.11's scanner where `json.decoder`, the home of the error it wants to raise, is not loaded."""


def _is_harmless(data: bytes) -> bool:
    """Whether C json may look at all: ASCII, and no escape by number (it lets lone surrogates pass)."""
    return data.isascii() and b"\\u" not in data


def _scan(text: str, at: int) -> tuple[object, int] | None:
    """The object at `at` and the position behind it; None when the exact path must look."""
    try:
        value, end = _scanner(text, at)
    except _DOUBTS:
        return None
    if end - at > _DEEP_BYTES and text.count("{", at, end) + text.count("[", at, end) > NESTING_MAX:
        return None  # maybe too deep, maybe only wide
    return value, end


def _shown(stray: bytes) -> str:
    """A stray token as QEMU shows it: a C string, so it ends at NUL."""
    return decode_loosely(stray.partition(b"\0")[0])
