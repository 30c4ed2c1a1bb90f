r"""The line that a human types: editing, history and completion, echoed byte for byte as QEMU 7.2 does (measured).

    plain ──ESC──> escaped ──[──> CSI (parameters, then one letter or ~)
      └──0x9b──────────────────────^        └──O──> SS3 (one letter)

After every byte the line is drawn anew: as many `ESC [ D` as the cursor stood from its begin, the whole line, `ESC [ K`
and back to where the cursor stands. A terminal that only waits for the prompt sees that prompt once a line.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINE_MAX = 4095
"""The longest line, in bytes; what is typed behind it is lost."""
HISTORY_MAX = 64
COMPLETIONS_MAX = 256
COLUMNS = 80
NARROWEST = 10
LEFT, RIGHT, REST = b"\x1b[D", b"\x1b[C", b"\x1b[K"
CLEAR = b"\x1b[2J\x1b[1;1H"
PLAIN, ESCAPED, CSI, SS3 = range(4)
BLANKS = b" \t\n\v\f\r"


class Readline:
    """A line being typed. `feed` returns it when it is whole; what the terminal shall show is in `out`.

    complete(text before the cursor) -> length of the word at its end, and all words that could stand there.
    """

    def __init__(self, complete: Callable[[bytes], tuple[int, Sequence[bytes]]]) -> None:
        self.history: list[bytes] = []
        """Lines, the oldest first, each once."""
        self.prompt = b""
        self.out = bytearray()
        self._complete = complete
        self._hidden = False
        self._recalled: int | None = None
        self.restart()

    def restart(self) -> None:
        """Forget what was typed."""
        self._line, self._at = bytearray(), 0
        self._shown, self._shown_at = b"", 0
        self._state, self._parameter = PLAIN, 0

    def ask(self, prompt: bytes, *, hidden: bool = False) -> None:
        """Begin a line. hidden: it is shown as stars and not remembered."""
        self.prompt, self._hidden = prompt, hidden
        self.restart()
        self.out += prompt

    def feed(self, byte: int) -> bytes | None:
        """One byte from the terminal. -> the line that it ends."""
        if self._state == PLAIN:
            if byte in b"\r\n":
                return self._whole()
            self._typed(byte)
        elif self._state == ESCAPED:
            self._state, self._parameter = {0x5B: CSI, 0x4F: SS3}.get(byte, PLAIN), 0
        elif self._state == CSI and 0x30 <= byte <= 0x39:
            self._parameter = self._parameter * 10 + byte - 0x30
        else:
            self._sequence(byte)
            self._state = PLAIN
        self._draw()
        return None

    # --- keys -------------------------------------------------------------------------------------------------

    def _typed(self, byte: int) -> None:
        key = KEYS.get(byte)
        if key is not None:
            key(self)
        elif byte == 0x1B:
            self._state = ESCAPED
        elif byte == 0x9B:
            self._state, self._parameter = CSI, 0
        elif byte >= 0x20:
            self._insert(bytes((byte,)))

    def _sequence(self, byte: int) -> None:
        if self._state == SS3:
            keys = FUNCTION
        elif byte == 0x7E:
            keys, byte = EDITING, self._parameter
        else:
            keys = CURSOR
        key = keys.get(byte)
        if key is not None:
            key(self)

    def _whole(self) -> bytes:
        line = bytes(self._line)
        if line and not self._hidden:
            self._remember(line)
        self.out += b"\r\n"
        self.restart()
        return line

    def _remember(self, line: bytes) -> None:
        """Put a line at the end of the history. The last one of a full one leaves the place there (measured)."""
        if len(self.history) == HISTORY_MAX and line == self.history[-1]:
            return
        if line in self.history:
            self.history.remove(line)
        self.history.append(line)
        del self.history[:-HISTORY_MAX]
        self._recalled = None

    def _insert(self, text: bytes) -> None:
        text = text[: LINE_MAX - len(self._line)]
        self._line[self._at : self._at] = text
        self._at += len(text)

    def _begin(self) -> None:
        self._at = 0

    def _end(self) -> None:
        self._at = len(self._line)

    def _left(self) -> None:
        self._at = max(self._at - 1, 0)

    def _right(self) -> None:
        self._at = min(self._at + 1, len(self._line))

    def _delete(self) -> None:
        del self._line[self._at : self._at + 1]

    def _backspace(self) -> None:
        if self._at:
            self._left()
            self._delete()

    def _delete_word(self) -> None:
        start = self._at
        while start and self._line[start - 1] in BLANKS:
            start -= 1
        while start and self._line[start - 1] not in BLANKS:
            start -= 1
        del self._line[start : self._at]
        self._at = start

    def _clear(self) -> None:
        self.out += CLEAR
        self._anew()

    def _up(self) -> None:
        if self._recalled is None:
            self._recalled = len(self.history)
        if self._recalled:
            self._recall(self._recalled - 1)
        elif not self.history:
            self._recalled = None

    def _down(self) -> None:
        if self._recalled is None:
            return
        if self._recalled + 1 < len(self.history):
            self._recall(self._recalled + 1)
        else:
            self._recalled, self._line = None, bytearray()
            self._end()

    def _recall(self, place: int) -> None:
        self._recalled, self._line = place, bytearray(self.history[place])
        self._end()

    def _tab(self) -> None:
        length, found = self._complete(bytes(self._line[: self._at]))
        words = found[:COMPLETIONS_MAX]
        if not words:
            return
        common = _common(words)
        self._insert(common[length:])
        if len(words) > 1:
            self.out += b"\r\n" + _columns(words)
            self._anew()
        elif not common.endswith(b"/"):
            self._insert(b" ")

    # --- what the terminal shows ------------------------------------------------------------------------------

    def _anew(self) -> None:
        """The terminal is at the begin of an empty line."""
        self.out += self.prompt
        self._shown, self._shown_at = b"", 0

    def _draw(self) -> None:
        line = bytes(self._line)
        if line != self._shown:
            self.out += LEFT * self._shown_at + (b"*" * len(line) if self._hidden else line) + REST
            self._shown, self._shown_at = line, len(line)
        moved = self._at - self._shown_at
        self.out += RIGHT * moved if moved > 0 else LEFT * -moved
        self._shown_at = self._at


def _common(words: Sequence[bytes]) -> bytes:
    """What all words begin with."""
    first, last = min(words), max(words)
    count = 0
    while count < len(first) and first[count] == last[count]:
        count += 1
    return first[:count]


def _columns(words: Sequence[bytes]) -> bytes:
    width = min(max(NARROWEST, *(len(word) + 2 for word in words)), COLUMNS)
    each = COLUMNS // width
    cells = [word.ljust(width) for word in sorted(words)]
    rows = [b"".join(cells[start : start + each]) for start in range(0, len(cells), each)]
    return b"".join(row + b"\r\n" for row in rows)


KEYS = {
    0x01: Readline._begin,
    0x04: Readline._delete,
    0x05: Readline._end,
    0x08: Readline._backspace,
    0x09: Readline._tab,
    0x0C: Readline._clear,
    0x17: Readline._delete_word,
    0x7F: Readline._backspace,
}
"""Control characters; the others are not there."""
CURSOR = {
    ord("A"): Readline._up,
    ord("F"): Readline._up,
    ord("B"): Readline._down,
    ord("E"): Readline._down,
    ord("C"): Readline._right,
    ord("D"): Readline._left,
}
EDITING = {1: Readline._begin, 3: Readline._delete, 4: Readline._end}
"""By the number before `~`."""
FUNCTION = {ord("F"): Readline._end, ord("H"): Readline._begin}
