"""Command lines that start, and of which something is said: ours says it in the words of the real QEMU."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

QUIT = '{"execute": "qmp_capabilities"}{"execute": "quit"}'
SAID = """
-cpu Skylake-Client,-hle -smp 2
-cpu EPYC,check=off -smp 4,cores=2,threads=2
-cpu qemu64,+vmx,+ffxsr,+ds_cpl,-svm
"""


def started(kind: str, folder: Path, line: str) -> subprocess.Popen[str]:
    """One that is told to end as soon as it listens."""
    words = [Emulator(kind, folder).program, "-S", "-display", "none", "-qmp", "stdio", *shlex.split(line)]
    pipe = subprocess.PIPE
    env = {**os.environ, "QMPEMU_GUEST": "none"}
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder, env=env)


@pytest.mark.parametrize("line", SAID.strip().splitlines())
def test_as_the_real_one(tmp_path: Path, line: str) -> None:
    """Status 0 and the same text."""
    both = [started(kind, tmp_path, line) for kind in ("real", "ours")]
    real, ours = [(process.communicate(QUIT, timeout=20)[1], process.returncode) for process in both]
    assert real[0] and real[1] == 0
    assert ours == real
