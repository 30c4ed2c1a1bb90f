"""Bytes -> tokens, by QEMU's lexical rules (facts/qmp-wire.md §4), any chunking, each byte looked at once.

    START ──quote──> STRING ⇄ ESCAPE          START ──digit, minus──> number states          START ──a..z──> KEYWORD
      └──anything else──> error ──> RECOVERY ──[]{}:, or a control byte or 0xfe, 0xff──> START (that byte again)

A token is its bytes; its first byte tells its kind. A number or keyword is complete only when a byte follows that
cannot belong to it. Extensions that QEMU accepts: single quoted strings. Not: comments, `+1`, `.5`, `01`, `0e5`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

TOKEN_BYTES_MAX = 64 << 20
"""Bytes of one token; the piece so far is handed on and lexing starts anew behind it (facts §4.8)."""

START, STRING, ESCAPE, KEYWORD, RECOVERY = "start", "string", "escape", "keyword", "recovery"
NEGATIVE, ZERO, DIGITS, DOT, FRACTION, EXPONENT, SIGN, POWER = "-", "0", "1", ".", ".1", "e", "e+", "e+1"

NUMBER: dict[str, dict[str, str | None]] = {
    NEGATIVE: {"0": ZERO, "1": DIGITS},
    ZERO: {"0": None, "1": None, ".": DOT},
    DIGITS: {"0": DIGITS, "1": DIGITS, ".": DOT, "e": EXPONENT},
    DOT: {"0": FRACTION, "1": FRACTION},
    FRACTION: {"0": FRACTION, "1": FRACTION, "e": EXPONENT},
    EXPONENT: {"0": POWER, "1": POWER, "+": SIGN, "-": SIGN},
    SIGN: {"0": POWER, "1": POWER},
    POWER: {"0": POWER, "1": POWER},
}
"""Number states: what each kind of byte leads to; None is an error. `0` takes no exponent: a quirk of QEMU's."""

COMPLETE = {ZERO, DIGITS, FRACTION, POWER}
"""Number states in which any other byte ends the number; elsewhere it is an error."""

_KIND = {ord(c): c for c in "0.+-"} | {ord(c): "1" for c in "123456789"} | {ord(c): "e" for c in "eE"}
_STRUCTURE = {byte: bytes([byte]) for byte in b"[]{}:,"}
_SPACE = b" \t\r\n"
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")


class LexicalError:
    """A stray token; `text` is what was read of it, the offending byte included."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class Tokenizer:
    """Feed bytes, get tokens and errors with the position behind each."""

    __slots__ = ("_patterns", "_quote", "_state", "_token")

    def __init__(self) -> None:
        self._state = START
        self._token = bytearray()
        self._quote = 0
        self._patterns: dict[str | int, re.Pattern[bytes]] | None = None

    @property
    def at_start(self) -> bool:
        """Whether the next byte begins a token and nothing is being skipped."""
        return self._state == START

    def feed(self, data: bytes, at: int) -> Iterator[tuple[bytes | LexicalError, int]]:
        """The tokens of `data` from `at` on, each with the position behind it. What is incomplete is kept."""
        patterns = self._patterns = self._patterns or _compile()
        size = len(data)
        while at < size:
            state = self._state
            if state == START:
                at, found = self._begin(data, at)
            elif state == STRING:
                at, found = self._in_string(data, at, patterns[self._quote])
            elif state == ESCAPE:
                at, found = self._in_escape(data, at)
            elif state == KEYWORD:
                at, found = self._in_keyword(data, at, patterns[KEYWORD])
            elif state == RECOVERY:
                at, found = self._skip(data, at, patterns[RECOVERY])
            else:
                at, found = self._in_number(data, at, patterns[DIGITS])
            if found is None and len(self._token) > TOKEN_BYTES_MAX:
                found = self._complete()
            if found is not None:
                yield found, at

    def _begin(self, data: bytes, at: int) -> tuple[int, bytes | LexicalError | None]:
        byte = data[at]
        if byte in _STRUCTURE:
            return at + 1, _STRUCTURE[byte]
        if byte in _SPACE:
            return at + 1, None
        self._token.append(byte)
        if byte in b"\"'":
            self._state, self._quote = STRING, byte
        elif byte in _LETTERS:
            self._state = KEYWORD
        elif byte in b"-0":
            self._state = NEGATIVE if byte == 0x2D else ZERO
        elif byte in b"123456789":
            self._state = DIGITS
        else:
            return at + 1, self._error()
        return at + 1, None

    def _in_string(
        self, data: bytes, at: int, body: re.Pattern[bytes]
    ) -> tuple[int, bytes | LexicalError | None]:
        end, more = self._run(body, data, at)
        if not more:
            return end, None
        byte = data[end]
        self._token.append(byte)
        if byte == self._quote:
            return end + 1, self._complete()
        if byte == 0x5C:
            self._state = ESCAPE
            return end + 1, None
        return end + 1, self._error()

    def _run(self, pattern: re.Pattern[bytes], data: bytes, at: int) -> tuple[int, bool]:
        """Take in a run of bytes up to the limit; where it ends, and whether the token goes on with what follows."""
        end = min(_match_end(pattern, data, at), at + TOKEN_BYTES_MAX + 1 - len(self._token))
        self._token += data[at:end]
        return end, end < len(data) and len(self._token) <= TOKEN_BYTES_MAX

    def _in_escape(self, data: bytes, at: int) -> tuple[int, bytes | LexicalError | None]:
        byte = data[at]
        self._token.append(byte)
        if byte < 0x20 or byte >= 0xFE:
            return at + 1, self._error()
        self._state = STRING
        return at + 1, None

    def _in_keyword(
        self, data: bytes, at: int, letters: re.Pattern[bytes]
    ) -> tuple[int, bytes | LexicalError | None]:
        end, more = self._run(letters, data, at)
        return end, self._complete() if more else None

    def _in_number(
        self, data: bytes, at: int, digits: re.Pattern[bytes]
    ) -> tuple[int, bytes | LexicalError | None]:
        if self._state in (DIGITS, FRACTION, POWER):
            at, more = self._run(digits, data, at)
            if not more:
                return at, None
        moves = NUMBER[self._state]
        kind = _KIND.get(data[at], "")
        if kind not in moves and self._state in COMPLETE:
            return at, self._complete()
        self._token.append(data[at])
        following = moves.get(kind)
        if following is None:
            return at + 1, self._error()
        self._state = following
        return at + 1, None

    def _skip(self, data: bytes, at: int, rest: re.Pattern[bytes]) -> tuple[int, None]:
        end = _match_end(rest, data, at)
        if end < len(data):
            self._state = START
        return end, None

    def _complete(self) -> bytes:
        token = bytes(self._token)
        self._token.clear()
        self._state = START
        return token

    def _error(self) -> LexicalError:
        error = LexicalError(bytes(self._token))
        self._token.clear()
        self._state = RECOVERY
        return error


def _match_end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return at if match is None else match.end()


def _compile() -> dict[str | int, re.Pattern[bytes]]:
    """Runs of bytes that stay in a state. `re` is imported late: most emulators never need the exact path."""
    import re

    return {
        0x22: re.compile(rb'[^"\\\x00-\x1f\xfe\xff]*'),
        0x27: re.compile(rb"[^'\\\x00-\x1f\xfe\xff]*"),
        KEYWORD: re.compile(rb"[a-z]*"),
        DIGITS: re.compile(rb"[0-9]*"),
        RECOVERY: re.compile(rb"[^\x00-\x08\x0a-\x1f\xfe\xff\[\]{}:,]*"),
    }
