"""Keyboard and pointer of the machine: what clients send becomes events of the console, in QEMU's order and pace.

    send-key: down ─10 ms─ down ─10 ms─ up ─10 ms─ up       (reverse order; hold-time instead of the 10 ms)
    paused: dropped        S3: a key of the PS/2 keyboard wakes        queue of 1024: the rest is dropped

Measured on QEMU 7.2 with its input trace. The delays run on the machine's clock: while it stands, they wait.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.queues import deque
from qmpemu.machine.runstate import RUNNING, SUSPENDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmpemu.machine.machine import Machine

QUEUE_MAX = 1024
"""Entries of the queue; an event takes two (itself and its end), a delay one."""

DELAY_DEFAULT_MS = 10
"""Between two key events, where nobody says otherwise (measured; the documentation of send-key says 100)."""

POINTERS = {
    "usb-tablet": ("QEMU HID Tablet", True),
    "usb-mouse": ("QEMU HID Mouse", False),
    "virtio-mouse-pci": ("QEMU Virtio Mouse", False),
    "virtio-mouse-device": ("QEMU Virtio Mouse", False),
    "virtio-tablet-pci": ("QEMU Virtio Tablet", True),
    "virtio-tablet-device": ("QEMU Virtio Tablet", True),
}
"""Pointing devices by driver: the name query-mice shows, and whether they are absolute."""

CHARDEVS = {
    "msmouse": ("QEMU Microsoft Mouse", False),
    "wctablet": ("QEMU Wacom Pen Tablet", True),
    "qemu-vdagent": ("vdagent mouse", True),
}
"""Character devices that are pointing devices, each the current one from its start."""
KEYBOARDS = ("usb-kbd", "virtio-keyboard-pci", "virtio-keyboard-device")


class Mouse:
    """A pointing device as query-mice shows it."""

    __slots__ = ("absolute", "index", "name")

    def __init__(self, index: int, name: str, absolute: bool) -> None:
        self.index = index
        self.name = name
        self.absolute = absolute


class Input:
    """The input devices of one machine."""

    __slots__ = ("_chosen", "_machine", "_queue", "_waiting", "monitor_buttons")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._queue: deque[tuple[str, bool] | int] = deque()
        self._waiting = False
        self._chosen: int | None = None
        self.monitor_buttons = 0
        """Bits of the buttons that the human monitor holds down."""

    # --- what clients send ------------------------------------------------------------------------------------

    def send_keys(self, qcodes: Sequence[str], hold_ms: int | None = None) -> None:
        """Press keys one after the other, then release them in reverse order."""
        delay_ms = ((hold_ms or 0) & 0xFFFFFFFF) or DELAY_DEFAULT_MS  # QEMU keeps it in 32 bits
        for down in (True, False):
            for qcode in qcodes if down else reversed(qcodes):
                self.key(qcode, down)
                self.delay(delay_ms)

    def key(self, qcode: str, down: bool) -> None:
        """A key event: at once, or behind what waits already."""
        if not self._accepts():
            return
        if self._queue or self._waiting:
            if self._room(2):
                self._queue.append((qcode, down))
        else:
            self._deliver_key(qcode, down)

    def delay(self, delay_ms: int) -> None:
        """Nothing is delivered for so long after what was sent before."""
        if not self._accepts() or not self._room(1):
            return
        self._queue.append(delay_ms)
        if not self._waiting:
            self._next()

    def pointer(self, kind: str, name: str, value: int) -> None:
        """A movement or a button (`console.Console.pointer`)."""
        if self._accepts() and self._machine.board.runstate == RUNNING:
            self._machine.console.pointer(kind, name, value)

    def handles(self, kind: str) -> bool:
        """Whether a device takes events of that type: key, btn, rel or abs."""
        if kind == "key":
            return self._has_ps2 or self._has_keyboard
        return any(kind == "btn" or mouse.absolute == (kind == "abs") for mouse in self.mice())

    # --- pointing devices -------------------------------------------------------------------------------------

    def mice(self) -> list[Mouse]:
        """In the order of query-mice; the last one is the current one."""
        if self._machine.config.family == "none":
            return []
        found = [Mouse(2, "QEMU PS/2 Mouse", False)] if self._has_ps2 else []
        index = 2 * len(found)
        for chardev in self._machine.chardevs.values():
            if chardev.backend in CHARDEVS:
                found.append(Mouse(len(found) + (not self._has_ps2), *CHARDEVS[chardev.backend]))
                if self._has_ps2:
                    found[0].index += 1
                index += 1
        for device in self._machine.devices.all:
            index += device.kind in POINTERS or device.kind in KEYBOARDS
            if device.kind in POINTERS:
                found.append(Mouse(index, *POINTERS[device.kind]))
        if not found:
            return []
        current = self._current(found)
        return [*(mouse for mouse in reversed(found) if mouse is not current), current]

    def choose_mouse(self, index: int) -> bool:
        """Make a pointing device the current one; False if there is none of that index."""
        if all(mouse.index != index for mouse in self.mice()):
            return False
        self._chosen = index
        return True

    @property
    def absolute(self) -> bool:
        """Whether the current pointing device takes positions and not movements."""
        mice = self.mice()
        return bool(mice) and mice[-1].absolute

    def _current(self, found: list[Mouse]) -> Mouse:
        chosen = [mouse for mouse in found if mouse.index == self._chosen]
        if chosen:
            return chosen[0]
        if len(found) > 1 and found[1].index == 1:
            return found[1]
        tablets = [mouse for mouse in found if mouse.absolute]
        return tablets[0] if tablets and self._machine.console.drives_tablet() else found[0]

    @property
    def _has_keyboard(self) -> bool:
        """Whether one was added."""
        return any(device.kind in KEYBOARDS for device in self._machine.devices.all)

    @property
    def _has_ps2(self) -> bool:
        """Whether the board has the controller of a PS/2 keyboard and mouse."""
        config = self._machine.config
        return config.family != "none" and "i8042" not in config.switched_off

    # --- the queue --------------------------------------------------------------------------------------------

    def _accepts(self) -> bool:
        return self._machine.board.runstate in (RUNNING, SUSPENDED)

    def _room(self, entries: int) -> bool:
        used = sum(1 if isinstance(each, int) else 2 for each in self._queue)
        return used + entries <= QUEUE_MAX

    def _next(self) -> None:
        """Deliver what is at the head, up to the next delay."""
        self._waiting = False
        while self._queue:
            head = self._queue.popleft()
            if isinstance(head, int):
                self._waiting = True
                self._machine.clock.call_in(head * NS_PER_MS, self._next)
                return
            if self._accepts():
                self._deliver_key(*head)

    def _deliver_key(self, qcode: str, down: bool) -> None:
        if not self._has_ps2 and not self._has_keyboard:
            return
        if self._machine.board.runstate == RUNNING:
            self._machine.console.key(qcode, down)
        elif not self._has_keyboard:
            self._machine.board.request_wakeup()  # a USB or virtio keyboard does not: measured
