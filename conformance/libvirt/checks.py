"""What has to be true after an operation: the words of a table's third column.

    state TEXT      `virsh domstate --reason` says TEXT, in the end
    event TEXT      `virsh event --all` has reported TEXT since the operation began; `...` stands for any text
    prints TEXT     the last virsh line printed TEXT
    fails TEXT      the last virsh line failed, and said TEXT on standard error
    xml TEXT        the live domain's XML holds TEXT             no xml TEXT     it does not
    qmp LINE: TEXT  `virsh qemu-monitor-command $D LINE` prints TEXT; LINE may be a command's name alone
    virsh LINE: TEXT  one more virsh line prints TEXT
    sh LINE         a line of bash in $F ends with status 0
    wire WORDS      in libvirt's monitor log these came in this order: commands, EVENTS, `return`, `error`
    there CHECK     one of these, of the domain on the other host

What may take time (state, event, xml, qmp, virsh, wire) is asked again until it holds. What `qmp` and `virsh` ask is
left out of comparisons, so they come last.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING

from tests.libvirt.libvirtd import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.libvirt.stage import Stage

PATIENCE_S = 30.0
SHOWN_MAX = 2000


class CheckFailed(Exception):
    """What was expected and what was found instead."""


def check(stage: Stage, text: str) -> None:
    """Raises CheckFailed, or ValueError for a word that is none."""
    word, _, rest = text.partition(" ")
    if word == "there":
        with stage.there():
            check(stage, rest)
        return
    if word == "no" and rest.startswith("xml "):
        word, rest = "no xml", rest[4:]
    if word not in CHECKS:
        raise ValueError(f"'{word}' is no check: {', '.join(CHECKS)}")
    with stage.asking() if word in ASKING else nullcontext():
        CHECKS[word](stage, rest)


def holds(pattern: str, text: str) -> bool:
    """Whether `text` contains `pattern`, in which `...` stands for any text."""
    parts = (re.escape(part.strip()) for part in pattern.split("..."))
    return re.search(".*".join(parts), text, re.DOTALL) is not None


def _in_the_end(what: str, found: Callable[[], str], right: Callable[[str], bool]) -> None:
    try:
        until(lambda: right(found()), what, PATIENCE_S)
    except TimeoutError:
        last = found()[-SHOWN_MAX:]
        raise CheckFailed(f"{what}: found, in the end, {last!r}") from None


def _state(stage: Stage, expected: str) -> None:
    _in_the_end(f"state {expected}", lambda: stage.libvirtd.domain_state(stage.name), lambda s: s == expected)


def _event(stage: Stage, expected: str) -> None:
    _in_the_end(f"event {expected}", lambda: "\n".join(stage.events()), lambda s: holds(expected, s))


def _prints(stage: Stage, expected: str) -> None:
    if not holds(expected, stage.last.stdout):
        raise CheckFailed(f"prints {expected}: found {stage.last.stdout!r}")


def _fails(stage: Stage, expected: str) -> None:
    if not stage.last.returncode or not holds(expected, stage.last.stderr):
        raise CheckFailed(f"fails {expected}: status {stage.last.returncode}, {stage.last.stderr!r}")


def _xml(stage: Stage, expected: str) -> None:
    _in_the_end(
        f"xml {expected}", lambda: stage.libvirtd.ok("dumpxml", stage.name), lambda s: holds(expected, s)
    )


def _no_xml(stage: Stage, unwanted: str) -> None:
    _in_the_end(
        f"no xml {unwanted}",
        lambda: stage.libvirtd.ok("dumpxml", stage.name),
        lambda s: not holds(unwanted, s),
    )


def _qmp(stage: Stage, text: str) -> None:
    line, _, expected = text.partition(": ")
    words = (
        ["--hmp", line] if line.startswith("info ") else [line if line.startswith("{") else _command(line)]
    )
    ask = ["qemu-monitor-command", stage.name, *words]
    _in_the_end(f"qmp {text}", lambda: stage.libvirtd.ok(*ask), lambda s: holds(expected, s))


def _virsh(stage: Stage, text: str) -> None:
    line, _, expected = text.partition(": ")
    words = shlex.split(stage.filled(line))

    def printed() -> str:
        done = stage.libvirtd.virsh(*words)  # it may fail until then: an agent is not there at once
        return done.stdout or done.stderr

    _in_the_end(f"virsh {text}", printed, lambda s: holds(expected, s))


def _command(name: str) -> str:
    return f'{{"execute":"{name}"}}'


def _sh(stage: Stage, line: str) -> None:
    done = subprocess.run(
        ["bash", "-c", stage.filled(line)], cwd=stage.folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CheckFailed(f"sh {line}: status {done.returncode}, {done.stdout}{done.stderr}")


def _wire(stage: Stage, expected: str) -> None:
    def said() -> str:
        return " ".join(line.word for line in stage.said())

    def in_order(found: str) -> bool:
        words = iter(found.split())
        return all(word in words for word in expected.split())

    _in_the_end(f"wire {expected}", said, in_order)


CHECKS: dict[str, Callable[[Stage, str], None]] = {
    "state": _state,
    "event": _event,
    "prints": _prints,
    "fails": _fails,
    "xml": _xml,
    "no xml": _no_xml,
    "qmp": _qmp,
    "virsh": _virsh,
    "sh": _sh,
    "wire": _wire,
}

ASKING = ("qmp", "virsh")
"""Checks that send commands to the emulator."""
