"""A character device that several front ends share (`mux=on`, `-serial mon:...`, -nographic): one has the keys.

    terminal ──keys──> Mux ──> the front end in focus        C-a c: the next one, in the order in which they were made
             <────── whatever any of them says

What a human monitor says out of focus waits for it (`hmp.session`). Texts and order as measured on QEMU 7.2.
"""

from __future__ import annotations

import time

from qmpemu.edge.streams import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from qmpemu.edge.loop import Loop

    class Focusable(Protocol):
        """A front end that is told whether it has the keys."""

        def focus(self, on: bool) -> None: ...


ESCAPE = 0x01
KEYS = (
    ("h", "print this help"),
    ("x", "exit emulator"),
    ("s", "save disk data back to file (if -snapshot)"),
    ("t", "toggle console timestamps"),
    ("b", "send break (magic sysrq)"),
    ("c", "switch between console and monitor"),
)
TERMINATED = b"QEMU: Terminated\n\r"


class Mux:
    """The front of the device that is shared. quit_: what C-a x does; commit: what C-a s does."""

    def __init__(
        self,
        loop: Loop,
        base: Stream,
        write: Callable[[bytes], object],
        quit_: Callable[[], object],
        commit: Callable[[], object],
        escape: int = ESCAPE,
    ) -> None:
        self.base = base
        self._write = write
        self._loop = loop
        self._quit = quit_
        self._commit = commit
        self._escape = escape
        self._ends: list[MuxEnd] = []
        self._focus = 0
        self._escaped = False
        self._stamps_from_ns: int | None = None
        self._line_begins = True

    def end(self) -> MuxEnd:
        """A place for one more front end; the last one has the keys."""
        made = MuxEnd(self._loop, self)
        self._ends.append(made)
        self._focus = len(self._ends) - 1
        return made

    def start(self) -> None:
        """All front ends are there."""
        for place, each in enumerate(self._ends):
            if place != self._focus:
                each.tell_focus(False)
        if not self.base.is_connected:  # they are told that it is open all the same (measured)
            for each in self._ends:
                if each.focusable is not None:
                    each.tell_open()

    def connected(self) -> None:
        """A client came."""
        for each in self._ends:
            each.tell_open()

    def disconnected(self) -> None:
        """The client left."""
        for each in self._ends:
            if each.front is not None:
                each.front.disconnected()

    def drained(self) -> None:
        """There is room again."""
        for each in self._ends:
            each.throttled = False
            if each.front is not None:
                each.front.drained()

    def received(self, data: bytes, fds: list[int]) -> None:
        """Keys: those behind the escape are for the mux, the others for the front end in focus."""
        plain = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte == self._escape:
                    plain.append(byte)
                else:
                    self._pass(plain, [])
                    plain.clear()
                    self._command(chr(byte))
            elif byte == self._escape:
                self._escaped = True
            else:
                plain.append(byte)
        self._pass(plain, fds)

    def write(self, data: bytes) -> None:
        """What a front end says."""
        if self._stamps_from_ns is not None:
            data = self._stamped(data)
        self._write(data)

    def _pass(self, plain: bytearray, fds: list[int]) -> None:
        front = self._ends[self._focus].front
        if front is not None and (plain or fds):
            front.received(bytes(plain), fds)

    def _command(self, key: str) -> None:
        if key in "?h":
            self.write(self._help())
        elif key == "x":
            self.write(TERMINATED)
            self._quit()
        elif key == "s":
            self._commit()
        elif key == "t":
            self._stamps_from_ns = -1 if self._stamps_from_ns is None else None
            self._line_begins = False
        elif key == "c":
            self._ends[self._focus].tell_focus(False)
            self._focus = (self._focus + 1) % len(self._ends)
            self._ends[self._focus].tell_focus(True)

    def _help(self) -> bytes:
        control = 0 < self._escape < 26
        name = f"C-{chr(self._escape + 0x60)}" if control else "Escape-Char"
        first = [] if control else [f"Escape-Char set to Ascii: 0x{self._escape:02x}", ""]
        lines = [f"{name} {key}    {text}" for key, text in KEYS]
        return "\n\r".join(["", *first, *lines, f"{name} {name}  sends {name}", ""]).encode()

    def _stamped(self, data: bytes) -> bytes:
        stamped = bytearray()
        for byte in data:
            if self._line_begins:
                stamped += self._stamp()
                self._line_begins = False
            stamped.append(byte)
            self._line_begins = byte == 0x0A
        return bytes(stamped)

    def _stamp(self) -> bytes:
        now_ns = time.monotonic_ns()
        if self._stamps_from_ns == -1:
            self._stamps_from_ns = now_ns
        assert self._stamps_from_ns is not None
        ms = (now_ns - self._stamps_from_ns) // 1_000_000
        hours, minutes, seconds = ms // 3_600_000, ms // 60_000 % 60, ms // 1000 % 60
        return f"[{hours:02}:{minutes:02}:{seconds:02}.{ms % 1000:03}] ".encode()


class MuxEnd(Stream):
    """What one front end has of a shared device."""

    def __init__(self, loop: Loop, mux: Mux) -> None:
        super().__init__(loop)
        self._mux = mux
        self.focusable: Focusable | None = None
        """The front end, if it wants to know whether it has the keys."""

    @property
    def is_connected(self) -> bool:
        """Whether somebody is there."""
        return self._mux.base.is_connected

    def send(self, data: bytes) -> None:
        """Say something."""
        if data:
            self._mux.write(data)
            self.throttled = self._mux.base.throttled

    def hold(self, on: bool) -> None:
        """Nothing is read while a line of a monitor is being run."""
        if on != self._held:
            self._held = on
            self._mux.base.hold(on)

    def cook(self) -> None:
        """Let the terminal echo."""
        self._mux.base.cook()

    def finish(self) -> None:
        """The device itself is closed by its owner."""

    def tell_open(self) -> None:
        """There is a terminal."""
        if self.front is not None:
            self.front.connected()

    def tell_focus(self, on: bool) -> None:
        """The keys are for this front end now, or no more."""
        if self.focusable is not None:
            self.focusable.focus(on)
