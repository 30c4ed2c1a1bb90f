"""What is imported ahead of need: when, and for which machines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import DISK
from emulators import PATIENCE_S, Emulator, say

from qmpemu.edge import ahead
from qmpemu.edge.ahead import PICTURE, QUIET_S, STORAGE, Ahead

LARGE = ("_asyncio", "_ssl", "_imaging")


class Turns:
    """A loop whose turns are the test's."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.next: Callable[[], object] = int

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        self.waits.append(delay)
        self.next = callback

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.call_later(0, callback)


@pytest.mark.parametrize(
    ("nodes", "display", "expected"),
    [({}, False, ()), ({"n": 1}, False, STORAGE), ({}, True, PICTURE), ({"n": 1}, True, STORAGE + PICTURE)],
)
def test_only_what_the_machine_can_need(
    nodes: dict[str, int], display: bool, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module a turn, and none before it is quiet."""
    imported: list[str] = []
    monkeypatch.setattr(ahead, "import_module", imported.append)
    machine = SimpleNamespace(
        blocks=SimpleNamespace(nodes=nodes), display=SimpleNamespace(has_console=display)
    )
    turns = Turns()
    emulator = SimpleNamespace(vm=SimpleNamespace(machine=machine), loop=turns, heard=7)
    Ahead(emulator)  # type: ignore[arg-type]
    emulator.heard += 1
    turns.next()
    assert (imported, turns.waits) == ([], [QUIET_S, QUIET_S])
    for _ in range(len(STORAGE + PICTURE) + 1):
        turns.next()
    assert tuple(imported) == expected


@pytest.mark.usefixtures("disk_image")
def test_nothing_large_before_it_is_set_going(ours: Emulator) -> None:
    """Then everything, though nothing needs it yet."""
    words = (
        "-M",
        "q35",
        "-m",
        "64",
        "-device",
        "VGA",
        "-blockdev",
        DISK,
        "-device",
        "virtio-blk-pci,drive=n0",
    )
    client = ours.start("-nodefaults", "-S", *words).client()
    assert ours.process is not None
    maps = Path(f"/proc/{ours.process.pid}/maps")
    assert not any(each in maps.read_text() for each in LARGE)
    say(client, "cont")
    deadline = time.monotonic() + PATIENCE_S
    while not all(each in maps.read_text() for each in LARGE):
        assert time.monotonic() < deadline
    assert not Path(f"/proc/{ours.process.pid}/task/{ours.process.pid}/children").read_text()
