"""One human monitor with one client at a time: banner, prompt, a line after another. Sans-IO.

    closed ──open()──> asking ──line──> running ──its output──> asking
                         ^                 └─ a Later: nothing is read until it is over

What is said while another front end has the terminal (`focus`) waits until this one has it again. What was typed goes
with the client; the history stays.
"""

from __future__ import annotations

from qmpemu.hmp.readline import Readline
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROMPT = b"(qemu) "
QUEUED_BYTES_MAX = 1 << 20
"""Output, in bytes, above which no further line is run until it was taken."""


class HumanSession:
    """A human monitor. `execute(line)` returns what is shown, now or later; lines end in CRLF.

    complete: as of `Readline`.
    """

    def __init__(
        self,
        banner: str,
        execute: Callable[[str], str | Later],
        complete: Callable[[bytes], tuple[int, Sequence[bytes]]],
    ) -> None:
        self._banner = banner.encode() + b"\r\n"
        self._execute = execute
        self._readline = Readline(complete)
        self._input = bytearray()
        self._blocked: Later | None = None
        self._asked: Callable[[str], str] | None = None
        self._focused = True
        self._prompted = False
        self.cpu = 0
        """The processor that `cpu` has chosen."""
        self.open_ = False
        self.on_unblocked: Callable[[], object] = _nothing
        """Told when a line's output comes later: there is output, and input is read again."""

    @property
    def history(self) -> list[str]:
        """The lines that were typed."""
        return [_text(line) for line in self._readline.history]

    @property
    def suspended(self) -> bool:
        """Whether nothing is to be read: a line's output is still to come."""
        return self._blocked is not None

    @property
    def paused(self) -> bool:
        """Whether received input waits until the output is taken: call `resume` then."""
        return bool(self._input) and self._blocked is None

    def open(self) -> None:
        """A client came, or the terminal was made."""
        self.open_ = True
        self._input.clear()
        self._blocked = self._asked = None
        self._readline.out += self._banner
        if self._focused:
            self._ask()

    def close(self) -> None:
        """The client left, or the machine is over: nothing more is run or said."""
        self.open_ = self._prompted = False
        self._input.clear()
        self._blocked = self._asked = None
        if self._focused:
            self._readline.out.clear()

    def finish(self) -> None:
        """The machine is over: what has been said is still delivered."""
        self.open_ = False
        self._input.clear()
        self._blocked = self._asked = None

    def focus(self, on: bool) -> bytes:
        """The terminal's keys are for this monitor now, or for another front end of it. -> what is to be sent."""
        if on:
            self._focused = True
            if self._blocked is None:
                self._ask()
            return self.take()
        if self._prompted:
            self._readline.out += b"\r\n"
        said, self._focused = self.take(), False
        return said

    def receive(self, data: bytes) -> None:
        """What was typed."""
        if self.open_:
            self._input += data
            self._work()

    def resume(self) -> None:
        """The output was taken: go on."""
        self._work()

    def ask_password(self, then: Callable[[str], str]) -> None:
        """The next line is a password: then(it) -> what is shown."""
        self._asked = then

    def take(self) -> bytes:
        """What is to be sent."""
        if not self._readline.out or not self._focused:
            return b""
        data = bytes(self._readline.out)
        self._readline.out.clear()
        return data

    def _work(self) -> None:
        while self._input and self._blocked is None and len(self._readline.out) <= QUEUED_BYTES_MAX:
            line = self._readline.feed(self._input.pop(0))
            if line is not None:
                self._run(_text(line))

    def _run(self, line: str) -> None:
        asked, self._asked = self._asked, None
        shown = self._execute(line) if asked is None else asked(line)
        if isinstance(shown, Later):
            self._blocked = shown
            shown.when_finished(lambda outcome: self._unblock(shown, outcome))
        else:
            self._show(shown)

    def _show(self, text: str) -> None:
        if self.open_:
            self._readline.out += text.encode(errors="surrogateescape")
            if self._focused:
                self._ask()

    def _ask(self) -> None:
        hidden = self._asked is not None
        self._readline.ask(b"Password: " if hidden else PROMPT, hidden=hidden)
        self._prompted = True

    def _unblock(self, blocked: Later, outcome: object) -> None:
        afterwards, blocked.afterwards = blocked.afterwards, None
        if self._blocked is blocked:
            self._blocked = None
            self._show(outcome if isinstance(outcome, str) else f"Error: {outcome}\r\n")
        if afterwards is not None:
            afterwards()
        self._work()
        self.on_unblocked()


def _text(line: bytes) -> str:
    return line.decode(errors="surrogateescape")


def _nothing() -> None:
    """Nobody waits for it."""
