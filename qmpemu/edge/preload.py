"""What the first command that needs real blocks would wait for: Python modules, imported while nobody asks.

Only for a running machine with a disk on a qcow2 image, piece by piece: who asks meanwhile waits 10 ms at most. The
real block layer itself is started at first need (`machine.block.store`).
"""

from __future__ import annotations

from qmpemu.machine.happened import MachineResumed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.core.facts import Fact
    from qmpemu.edge.emulator import Emulator

PIECES = "shutil subprocess logging ssl inspect asyncio ctypes qemu.qmp qmpemu.edge.storage_daemon".split()
"""In this order each takes 2 to 12 ms."""
FIRST_S, NEXT_S = 0.05, 0.005


class Preload:
    """Waits for the machine to run."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._left = list(reversed(PIECES))
        self._began = False
        emulator.vm.facts.subscribe(self._heard)

    def _heard(self, fact: Fact) -> None:
        if not self._began and isinstance(fact, MachineResumed) and self._has_image():
            self._began = True
            self._emulator.loop.call_later(FIRST_S, self._next)

    def _has_image(self) -> bool:
        drives = self._emulator.vm.machine.blocks.drives
        return any(each.node is not None and each.node.driver == "qcow2" for each in drives)

    def _next(self) -> None:
        try:
            __import__(self._left.pop())
        except ImportError:
            self._left.clear()  # whoever needs it will be told
        if self._left:
            self._emulator.loop.call_later(NEXT_S, self._next)
