"""-debugcon, and the line by which a terminal's name is told: ours says what the real QEMU says, where it says it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

ASKED = """{"execute": "qmp_capabilities"}
{"execute": "query-chardev"}
{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}
{"execute": "qom-get", "arguments": {"path": "/machine/peripheral/debugcon", "property": "iobase"}}
{"execute": "human-monitor-command", "arguments": {"command-line": "chardev-add pty,id=later"}}
{"execute": "quit"}
"""
VARYING = re.compile(r'/dev/pts/\d+|"timestamp": {[^}]*}')


def told(kind: str, folder: Path) -> tuple[str, str]:
    """What stands on standard output, and on standard error.

    The greeting first: a thread of the real one says it, before or after the terminal of -debugcon is told of.
    """
    line = "-machine q35 -S -nodefaults -display none -qmp stdio -chardev pty,id=c -debugcon pty"
    words = [Emulator(kind, folder).program, *line.split()]
    env = {**os.environ, "QMPEMU_GUEST": "none"}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env) as emulator:
        assert emulator.stdin and emulator.stdout and emulator.stderr
        emulator.stdin.write(ASKED)
        emulator.stdin.flush()  # and it stays open: at its end the real one drops what it has not run yet
        lines = emulator.stdout.read().splitlines(keepends=True)
        said = "".join(sorted(lines, key=lambda line: not line.startswith('{"QMP"')))
        return VARYING.sub("VARYING", said), emulator.stderr.read()


def test_as_the_real_one(tmp_path: Path) -> None:
    """A device of -debugcon stands among those with a name; terminals are told of on standard output."""
    real = told("real", tmp_path)
    assert real[0].count("char device redirected to VARYING (label ") == 3
    assert '"child<isa-debugcon>"' in real[0]
    assert told("ours", tmp_path) == real
