"""memory-backend-file on ours and the real one: which file can back memory, and what is made of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator

PAGE = 4096


def add(emulator: Emulator, path: Path | str, size: int = PAGE) -> Any:
    """The text of the refusal, or None."""
    reply = emulator.client().ask(
        "object-add", **{"qom-type": "memory-backend-file", "id": "m", "size": size, "mem-path": str(path)}
    )
    return reply.get("error", {}).get("desc")


@pytest.fixture(autouse=True)
def _started(emulator: Emulator) -> None:
    emulator.start("-machine", "none")


def test_a_missing_file_is_made(emulator: Emulator, tmp_path: Path) -> None:
    """With the size that was asked for."""
    assert add(emulator, tmp_path / "new") is None
    assert (tmp_path / "new").stat().st_size == PAGE


def test_a_folder_stays_as_it_is(emulator: Emulator, tmp_path: Path) -> None:
    """The file in it has no name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert add(emulator, folder) is None
    assert not list(folder.iterdir())


def test_a_small_file_is_refused_and_kept(emulator: Emulator, tmp_path: Path) -> None:
    """Nothing is added to what somebody else keeps."""
    small = tmp_path / "small"
    small.write_bytes(b"x" * PAGE)
    assert add(emulator, small, 2 * PAGE) == "backing store size 0x1000 does not match 'size' option 0x2000"
    assert small.read_bytes() == b"x" * PAGE


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "/nonexistent/a",
            "can't open backing store /nonexistent/a for guest RAM: No such file or directory",
        ),
        ("", "can't open backing store  for guest RAM: No such file or directory"),
        ("/dev/null", "unable to map backing store for guest RAM: No such device"),
        ("/dev/zero", None),
    ],
)
def test_what_cannot_be_mapped_is_refused(emulator: Emulator, path: str, text: str | None) -> None:
    """With the operating system's reason."""
    assert add(emulator, path) == text
