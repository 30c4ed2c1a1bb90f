"""-gdb: its character devices are those of the real one; a debugger is told that there is no processor."""

from __future__ import annotations

import re
import shlex
import socket
from typing import TYPE_CHECKING

import pytest

from tests.edge.emulators import PATIENCE_S, Emulator

if TYPE_CHECKING:
    from pathlib import Path

MADE = """
-gdb unix:g,server=on,wait=off
-gdb tcp:127.0.0.1:0
-gdb null
-gdb none
-gdb chardev:c -chardev null,id=c
"""
REFUSED = """
-gdb foo
-gdb unix:g
-gdb unix:/nosuch/g,server=on,wait=off
-gdb tcp::x
-gdb tcp::1,foo=1
-gdb tcp::0 -gdb tcp::0
-gdb tcp::0 -M none
"""


@pytest.mark.parametrize("line", MADE.strip().splitlines())
def test_devices_as_real(line: str, tmp_path: Path) -> None:
    """query-chardev and query-yank tell of the same; a label and a port are by chance."""
    told = []
    for kind in ("real", "ours"):
        folder = tmp_path / kind
        folder.mkdir()
        emulator = Emulator(kind, folder)
        try:
            client = emulator.start("-S", *shlex.split(line), cwd=folder).client()
            rows = client.ask("query-chardev")["return"], client.ask("query-yank")["return"]
        finally:
            emulator.kill()
        text = re.sub(r"#chr0\d\d|127.0.0.1:\d+|compat_monitor0|/\S+qmp.sock", "", str(rows[0]))
        told.append([sorted(re.findall("{.*?}", text)), rows[1]])
    assert told[1] == told[0]


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_refused_as_real(line: str, tmp_path: Path) -> None:
    """The same line on standard error, and status 1."""
    told = [
        Emulator(kind, tmp_path).start("-S", *shlex.split(line), qmp=False, cwd=tmp_path).finish()
        for kind in ("real", "ours")
    ]
    assert told[1] == told[0]
    assert told[0][0] == 1


def test_a_debugger_is_told(tmp_path: Path) -> None:
    """It reads an error in words, then the end; the machine goes on, and another may come."""
    emulator = Emulator("ours", tmp_path)
    try:
        client = emulator.start("-gdb", "unix:g,server=on,wait=off", cwd=tmp_path).client()
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as debugger:
                debugger.settimeout(PATIENCE_S)
                debugger.connect(str(tmp_path / "g"))
                debugger.sendall(b"+$qSupported#37")
                with debugger.makefile("rb") as said:
                    assert said.read().startswith(
                        b"+$E.qmpemu does not emulate -gdb: there is no virtual CPU"
                    )
        assert client.ask("query-status")["return"]["running"] is True
    finally:
        emulator.kill()
