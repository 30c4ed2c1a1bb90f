"""Lists that scripts ask for before they start a machine: ours are those of the real QEMU."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

ASKED = (
    "-machine help",
    "-M ?",
    "-cpu help",
    "-accel help",
    "-device help",
    "-device virtio-net-pci,help",
    "-device scsi-hd,?",
    "-netdev help",
    "-nic model=help",
    "-nic help",
    "-chardev help",
    "-object help",
    "-drive format=help",
    "-smp help",
)


def printed(kind: str, folder: Path, words: str) -> tuple[int, str, str]:
    """Exit status and what stands on standard output and standard error."""
    argv = [Emulator(kind, folder).program, "-display", "none", *words.split()]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", ASKED)
def test_as_the_real_one(tmp_path: Path, words: str) -> None:
    """Status 0, the same list, and no machine."""
    assert printed("ours", tmp_path, words) == printed("real", tmp_path, words)
