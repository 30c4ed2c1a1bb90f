"""The suite is tested itself: each deliberate fault of our server is caught by the cases that are there for it."""

from __future__ import annotations

import datetime
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from faults import FAULTS

from qmpemu.edge.conform import recording, suite
from qmpemu.edge.conform.case import load
from qmpemu.edge.conform.judge import DIFFERS
from qmpemu.edge.conform.ledger import Ledger

FOLDER = suite.data_folder()
CASES = load(FOLDER / "cases")
FAULTS_MIN = 25
PATIENCE_S = 2.0


def test_enough_faults() -> None:
    """At least 25 kinds of fault are tried."""
    assert len(FAULTS) >= FAULTS_MIN


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught(name: str, tmp_path: Path) -> None:
    """A server with this fault does not pass."""
    _, pattern = FAULTS[name]
    server = tmp_path / "qemu-system-x86_64"
    server.write_text(
        f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("faults.py")} {name} "$@"\n'
    )
    server.chmod(0o755)
    target = suite.Target(str(server), None)
    cases = [case for case in CASES if fnmatch(case.name, pattern)]
    against = next(iter(recording.shipped(FOLDER / "recordings")))
    ledger = Ledger([], datetime.date(2026, 1, 1))
    results = suite.run(
        target, cases, against, ledger, jobs=2, patience_s=PATIENCE_S, done=lambda result: None
    )
    assert not any(result.note for result in results), "it did not even start"
    assert any(result.outcome == DIFFERS for result in results), f"{name} passed {pattern}"
