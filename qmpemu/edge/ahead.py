"""Imports ahead of need, in the quiet after a machine was set going, for a first snapshot and a first look.

    MachineResumed ──> quiet? ──> a module ──> quiet? ──> a module ──> ... ──> everything is there
                         ^─── a client spoke: wait again

Only what the machine can need: the talk with a real block layer if it has nodes, a picture if it has a display. Nothing
is started. One module at a time, each a few milliseconds, so that a client who comes meanwhile waits for one only.
"""

from __future__ import annotations

import gc
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.emulator import Emulator

QUIET_S = 0.005
"""How long no client has spoken when the first module is imported, and the next one after a client spoke."""
STORAGE = (
    *("enum", "re", "typing", "traceback", "logging", "ast", "inspect", "socket", "ssl", "subprocess"),
    *("asyncio.events", "qemu.qmp.protocol", "qemu.qmp"),
    *("qmpemu.machine.block.store", "qmpemu.edge.storage_daemon", "qmpemu.edge.storage_process", "_ctypes"),
)
PICTURE = ("tempfile", "PIL.Image", "PIL.ImageFont", "qmpemu.edge.picture")


class Ahead:
    """What is still to be imported for a machine that has just been set going."""

    def __init__(self, emulator: Emulator) -> None:
        machine = emulator.vm.machine
        self._emulator = emulator
        self._left = [
            *(STORAGE if machine.blocks.nodes else ()),
            *(PICTURE if machine.display.has_console else ()),
        ]
        self._left.reverse()
        self._heard = -1
        self._go_on()

    def _go_on(self) -> None:
        heard, self._heard = self._heard, self._emulator.heard
        if self._heard != heard:
            self._emulator.loop.call_later(QUIET_S, self._go_on)
        elif self._left:
            try:
                import_module(self._left.pop())
            except ImportError:
                pass  # whoever needs it is told
            self._emulator.loop.call_soon(self._go_on)
        else:
            gc.freeze()  # none of it is garbage, ever
