"""A conformance case: a wire transcript that a person can read, and a program can play.

    # A duplicate key is refused, and the whole message dropped.      the title; more lines say more
    argv: -machine q35                                                 how to start; left out: any server will do

    -> {"a":1,"a":2}                                                   sent, with a newline
    <- {"error": {"class": "GenericError", "desc": "JSON ..."}}        expected, without its CR LF

`argv:` are QEMU's own words behind `-nodefaults -display none -accel tcg` and the monitors. A case without it makes
no difference to the machine, so it runs on any server with any machine. Other heads: `monitors: 2`, `pretty: yes`,
`negotiate: no` (clients then see the greeting as their first line), `qtest: yes` (the client `q` is its socket),
`halted: yes` (the firmware is a file of HLT instructions, so that nothing runs which nobody asked for),
`defaults: yes` (without `-nodefaults`).

A step may begin with the name of a client (`b <- ...`); without one it is `a`, who is connected from the start.

    => "raw \\xff" 3 * "["      bytes as they are, no newline; a number repeats        <= "..."   a line without CR LF
    <x                         end of file                                            $folder    a scratch folder
    ! connect b [2]            connect b to monitor 1 or 2    ! close b   ! half-close b   ! pass FILE   ! fifo FILE
    ! feed FILE                open a FIFO and close it       ! signal TERM               ! exit 0

In what is expected `...` stands for any text, and `$time`, `$thread1`, `$fd1` for values that differ from run to run
(`references`).
"""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SENT, RAW, LINE, ODD_LINE, END, ACT = "->", "=>", "<-", "<=", "<x", "!"
EXPECTED = frozenset({LINE, ODD_LINE, END})
STEP = re.compile(r"(?:([a-z][a-z0-9]*) )?(->|=>|<-|<=|<x|!)(?: (.*))?")
HEAD = re.compile(r"([a-z]+): (.*)")
HEADS = ("argv", "defaults", "halted", "monitors", "negotiate", "pretty", "qtest")
PART = re.compile(r'\s*(?:(\d+)\s*\*\s*)?("(?:[^"\\]|\\.)*")')
ACTS = {
    "connect": "connect CLIENT [MONITOR]",
    "close": "close CLIENT",
    "half-close": "half-close CLIENT",
    "pass": "pass FILE",
    "fifo": "fifo FILE",
    "feed": "feed FILE",
    "signal": "signal NAME",
    "exit": "exit STATUS",
}
REPEAT_BYTES_MAX = 1 << 20
ANY_MACHINE = "-machine none -S"
"""How a target is started for a case that does not care."""


class CaseError(Exception):
    """A file that is no case: what, where and what would be right, in one sentence."""


class Step(NamedTuple):
    """One line. kind: one of the marks above. text: what follows it. line: in the file, from 1."""

    client: str
    kind: str
    text: str
    line: int = 0

    def __str__(self) -> str:
        words = (self.client if self.client != "a" else "", self.kind, self.text)
        return " ".join(word for word in words if word)


class Case(NamedTuple):
    """A case. name: `area/name`. argv: None where any running server will do."""

    name: str
    title: str
    argv: str | None
    monitors: int
    negotiate: bool
    pretty: bool
    qtest: bool
    halted: bool
    steps: tuple[Step, ...]
    defaults: bool = False
    """Whether it starts without -nodefaults."""

    @property
    def area(self) -> str:
        """The folder it lies in."""
        return self.name.partition("/")[0]

    @property
    def claims(self) -> list[Step]:
        """What it expects to hear, in order."""
        return [step for step in self.steps if step.kind in EXPECTED]

    @property
    def needs_process(self) -> bool:
        """Whether it can only run on a process that was started for it."""
        return self.argv is not None or self.monitors > 1 or self.pretty or self.qtest


def load(folder: Path) -> list[Case]:
    """Every case of a folder, in order. Raises CaseError."""
    paths = sorted(folder.rglob("*.qmp"))
    if not paths:
        raise CaseError(f"there are no cases (*.qmp) in {folder}")
    return [parse(str(path.relative_to(folder).with_suffix("")), _read(path)) for path in paths]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(name: str, text: str) -> Case:
    """The case in `text`. Raises CaseError."""
    title: list[str] = []
    heads: dict[str, str] = {}
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"case {name}, line {number}"
        if match := STEP.fullmatch(line):
            client, kind, rest = match.groups()
            steps.append(_checked(Step(client or "a", kind, rest or "", number), where))
        elif line.startswith("#"):
            title += [line[1:].strip()] if not steps else []
        elif (match := HEAD.fullmatch(line)) and not steps:
            if match[1] not in HEADS:
                raise CaseError(f"{where}: '{match[1]}' is no head: valid are {', '.join(HEADS)}")
            heads[match[1]] = match[2]
        elif line.strip():
            raise CaseError(f"{where}: neither a step (-> => <- <= <x !) nor a comment: {line[:60]!r}")
    if not title:
        raise CaseError(f"case {name}: its first line must say what it claims, after a '#'")
    monitors = heads.get("monitors", "1")
    if not monitors.isdigit():
        raise CaseError(f"case {name}: 'monitors: {monitors}' must be a number")
    return Case(
        name,
        title[0],
        heads.get("argv"),
        int(monitors),
        heads.get("negotiate") != "no",
        heads.get("pretty") == "yes",
        heads.get("qtest") == "yes",
        heads.get("halted") == "yes",
        tuple(steps),
        defaults=heads.get("defaults") == "yes",
    )


def _checked(step: Step, where: str) -> Step:
    if step.kind in (RAW, ODD_LINE):
        payload(step.text, where)
    elif step.kind == ACT:
        words = step.text.split()
        if not words or words[0] not in ACTS:
            raise CaseError(f"{where}: '! {step.text}' is no act: valid are {'; '.join(ACTS.values())}")
        if len(words) < 2:
            raise CaseError(f"{where}: write '! {ACTS[words[0]]}'")
    return step


def payload(text: str, where: str = "") -> bytes:
    """The bytes that `text` (`"..."` or `N * "..."`, several of them) writes down. Raises CaseError."""
    data, at = b"", 0
    while text[at:].strip():
        match = PART.match(text, at)
        if match is None:
            raise CaseError(f'{where}: write bytes as "..." or 3 * "...", not {text[at : at + 40]!r}')
        data += _unquoted(match[2]) * int(match[1] or 1)
        if len(data) > REPEAT_BYTES_MAX:
            raise CaseError(f"{where}: more than {REPEAT_BYTES_MAX >> 20} MiB in one step")
        at = match.end()
    return data


def _unquoted(quoted: str) -> bytes:
    """Python's own escapes, with characters beyond ASCII as UTF-8."""
    ascii_only = "".join(c if ord(c) < 128 else "".join(f"\\x{b:02x}" for b in c.encode()) for c in quoted)
    value: bytes = ast.literal_eval("b" + ascii_only)
    return value


def quoted(data: bytes) -> str:
    """`payload` the other way round."""
    inner = repr(b'"' + data)[3:-1].replace(
        "\\'", "'"
    )  # the quote in front makes repr use single ones around
    return '"' + inner.replace('"', '\\"') + '"'


def words(argv: str, folder: str) -> list[str]:
    """The words of an `argv:` head."""
    return [word.replace("$folder", folder) for word in shlex.split(argv)]


def with_claims(text: str, lines: Iterable[tuple[int, list[Step]]]) -> str:
    """The text of a case with steps put in behind the given line numbers."""
    after = dict(lines)
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        out.append(line)
        out += [str(step) for step in after.get(number, ())]
    return "\n".join(out) + "\n"
