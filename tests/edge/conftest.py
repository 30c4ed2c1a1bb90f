"""Emulator processes, and the real one beside ours: `emulator` and `two` run a test on both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator
from rfb import OPEN
from two import Two


@pytest.fixture(params=["ours", "real"])
def emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator]:
    """An emulator process that the test starts; the same test runs on ours and on the real QEMU."""
    made = Emulator(request.param, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Emulator]:
    """Our emulator process, for what the real one does not have."""
    made = Emulator("ours", tmp_path)
    yield made
    made.kill()


@pytest.fixture(params=["ours", "real"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    """The ends of a migration, both of one kind."""
    made = Two(request.param, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def disk_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`disk.qcow2`, 8 MiB, in the folder that the test and its emulator are in."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "disk.qcow2", "8M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -q -P 7 0 1M", "disk.qcow2"], check=True)


@pytest.fixture(autouse=True)
def _viewers_leave() -> Iterator[None]:
    """What a test has connected to a VNC server is closed after it."""
    yield
    while OPEN:
        OPEN.pop().close()
