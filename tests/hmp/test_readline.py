"""hmp.readline and hmp.session: what a terminal is sent for what is typed, as measured on QEMU 7.2."""

from __future__ import annotations

import pytest

from qmpemu.hmp.readline import HISTORY_MAX, LINE_MAX, Readline
from qmpemu.hmp.session import HumanSession
from qmpemu.qmp.later import Later

WORDS = [b"stop", b"stopcapture", b"savevm", b"/etc/"]


def complete(typed: bytes) -> tuple[int, list[bytes]]:
    word = typed.rpartition(b" ")[2]
    return len(word), [each for each in WORDS if each.startswith(word)]


def shown(line: Readline, typed: bytes) -> str:
    """What is sent, with `<` for a step left, `>` right, `~` for the erased rest of the line."""
    line.out.clear()
    for byte in typed:
        line.feed(byte)
    text = line.out.decode("latin-1")
    return text.replace("\x1b[D", "<").replace("\x1b[C", ">").replace("\x1b[K", "~")


KEYS = [
    (b"abc", "a~<ab~<<abc~"),
    (b"\x7f", "<<<ab~"),
    (b"\x1b[D", "<"),
    (b"X", "<aXb~<"),
    (b"\x01", "<<"),
    (b"\x1b[3~", "Xb~<<"),
    (b"\x05", ">>"),
    (b"\x03\x15\x0b", ""),
    (b" de", "<<Xb ~<<<Xb d~<<<<Xb de~"),
    (b"\x17", "<<<<<Xb ~"),
    (b"\x1bOH\x1bOF", "<<<>>>"),
    (b"\x0c", "\x1b[2J\x1b[1;1H(qemu) Xb ~"),
    (b"\x1b[1;5C", "<<<Xb 5~<<<<Xb 5C~"),
    (b"\x1b\x1b[A", "<<<<<Xb 5C[~<<<<<<Xb 5C[A~"),
    (b"\n", "\r\n"),
    (b"\x1b[A", "Xb 5C[A~"),
    (b"\x9bB", "<<<<<<<~"),
    (b"sto\t", "s~<st~<<sto~\r\nstop         stopcapture  \r\n(qemu) stop~"),
    (b"c\t", "<<<<stopc~<<<<<stopcapture ~"),
    (b"/\t", "<<<<<<<<<<<<stopcapture /~<<<<<<<<<<<<<stopcapture /etc/~"),
    (b"x\t", "<<<<<<<<<<<<<<<<<stopcapture /etc/x~"),
]
"""Typed one after another, and what is sent for each."""


def test_what_keys_draw() -> None:
    """The whole line after every byte; control keys that QEMU has not draw nothing."""
    line = Readline(complete)
    line.ask(b"(qemu) ")
    for typed, sent in KEYS:
        assert shown(line, typed) == sent, typed


def test_a_line_has_an_end() -> None:
    """Bytes behind the 4095th are lost."""
    line = Readline(complete)
    shown(line, b"x" * (LINE_MAX + 1))
    assert line.feed(13) == b"x" * LINE_MAX


def test_history_keeps_each_line_once() -> None:
    """A line that is there already moves to the end; of more than 64 the oldest go."""
    line = Readline(complete)
    shown(line, b"a\nb\na\n")
    assert line.history == [b"b", b"a"]
    shown(line, b"".join(b"%d\n" % number for number in range(HISTORY_MAX)))
    assert line.history == [b"%d" % number for number in range(HISTORY_MAX)]


def session(execute: object = lambda line: f"<{line}>\r\n") -> HumanSession:
    made = HumanSession("QEMU", execute, complete)  # type: ignore[arg-type]
    made.open()
    made.take()
    return made


def plain(data: bytes) -> bytes:
    """The last drawing of each line."""
    return b"\r\n".join(row.rpartition(b"\x1b[D")[2].replace(b"\x1b[K", b"") for row in data.split(b"\r\n"))


def test_nothing_is_read_while_a_line_runs() -> None:
    """Output that comes later holds the lines behind it, which run then."""
    later = Later()
    asked: list[str] = []

    def execute(line: str) -> str | Later:
        asked.append(line)
        return later if line == "a" else ""

    monitor = session(execute)
    monitor.receive(b"a\nb\n")
    assert monitor.suspended and asked == ["a"]
    later.finish("done\r\n")
    assert asked == ["a", "b"] and not monitor.suspended
    assert monitor.take() == b"a\x1b[K\r\ndone\r\n(qemu) b\x1b[K\r\n(qemu) "


def test_output_out_of_focus_waits() -> None:
    """Another front end has the terminal: what the monitor says is shown when it has it again."""
    monitor = session()
    assert monitor.focus(False) == b"\r\n"
    monitor.open()
    assert monitor.take() == b""
    assert monitor.focus(True) == b"QEMU\r\n(qemu) "


def test_a_password_is_shown_as_stars() -> None:
    """And it is no line of the history."""
    monitor = session(lambda line: monitor.ask_password(lambda word: f"{len(word)}\r\n") or "")
    monitor.receive(b"p\nab\n")
    assert monitor.take() == b"p\x1b[K\r\nPassword: *\x1b[K\x1b[D**\x1b[K\r\n2\r\n(qemu) "
    assert monitor.history == ["p"]


@pytest.mark.parametrize("end", ["close", "finish"])
def test_after_its_end_nothing_is_run(end: str) -> None:
    """The client's input is dropped; what was said before the machine's end is still there to be sent."""
    monitor = session()
    monitor.receive(b"x\n")
    getattr(monitor, end)()
    monitor.receive(b"y\n")
    assert plain(monitor.take()) == (b"" if end == "close" else b"x\r\n<x>\r\n(qemu) ")
