"""The console seam: what a machine's display shows, as data, and the one door for keys and pointer into its guest.

    guest  ──show()──────────────────────────────────────────> Screen ──> screendump, VNC   (drawn at the edge)
    send-key, VNC ──> Console.key / .pointer ──(machine clock)──> guest.key / .pointer
    guest  ⇄  Console.serial (a `port.Port`)  ⇄  the first serial line's character device

A `Screen` is made only when somebody looks. It is a plain value: two equal ones look the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from qmpemu.core.clock import Timer
    from qmpemu.port import Port

    class Clock(Protocol):
        """A machine's clock, or a view of it."""

        def call_in(self, delay_ns: int, call: Callable[[], object], /) -> Timer: ...

    class Sitter(Protocol):
        """A guest as its display and its input devices see it."""

        def show(self) -> Screen:
            """What is on the screen now."""

        def key(self, qcode: str, down: bool) -> None:
            """A key went down or up; `qcode` is QEMU's name of it."""

        def pointer(self, kind: str, name: str, value: int) -> None:
            """`rel` and `abs`: axis `x` or `y` and its value; `btn`: button and 1 (down) or 0 (up)."""

        def drives_tablet(self) -> bool:
            """Whether a driver reads absolute pointing devices by now."""


TEXT_MODE = (720, 400)
GRAPHICS_MODE = (640, 480)
ABSOLUTE_MAX = 0x7FFF
"""The far end of an absolute axis (QAPI: InputMoveEvent)."""

PENDING_MAX = 4096
"""Input events that may wait for the guest; more are dropped, as with a full hardware queue."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the screen."""


class Element:
    """One thing on a screen.

    place: its name, which is what a click on it means (`answer:cancel`, `title`). look: how it is drawn
    (`edge.picture`). value: a progress in percent or the phase of a spinner. focused: Enter goes there.
    """

    __slots__ = ("box", "focused", "look", "place", "text", "value")

    def __init__(
        self, place: str, text: str, box: Box, look: str = "text", *, value: int = 0, focused: bool = False
    ) -> None:
        self.place = place
        self.text = text
        self.box = box
        self.look = look
        self.value = value
        self.focused = focused

    def key(self) -> tuple[object, ...]:
        """All there is to it."""
        return self.place, self.text, self.box, self.look, self.value, self.focused

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self.key() == other.key()

    def __repr__(self) -> str:
        return f"{self.place}: {self.text!r}"

    def holds(self, x: int, y: int) -> bool:
        """Whether a point lies in it."""
        left, top, width, height = self.box
        return left <= x < left + width and top <= y < top + height


class Screen:
    """What is shown. kind: the state it belongs to, in a word or two. pointer: where the mouse pointer is, if drawn."""

    __slots__ = ("background", "elements", "kind", "pointer", "size")

    def __init__(
        self,
        kind: str,
        size: tuple[int, int],
        elements: tuple[Element, ...] = (),
        *,
        background: str = "#000000",
        pointer: tuple[int, int] | None = None,
    ) -> None:
        self.kind = kind
        self.size = size
        self.elements = elements
        self.background = background
        self.pointer = pointer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Screen) and self.same_but_pointer(other) and self.pointer == other.pointer

    def __repr__(self) -> str:
        return f"Screen({self.kind}: {', '.join(self.texts())})"

    def same_but_pointer(self, other: Screen) -> bool:
        """Whether at most the pointer has moved."""
        return (
            self.kind == other.kind
            and self.size == other.size
            and self.background == other.background
            and self.elements == other.elements
        )

    def texts(self) -> list[str]:
        """Every text, from back to front."""
        return [element.text for element in self.elements if element.text]

    def at(self, x: int, y: int) -> Element | None:
        """The element in front at a point."""
        return next((each for each in reversed(self.elements) if each.holds(x, y)), None)

    def find(self, place: str) -> Element | None:
        """The element of that name."""
        return next((each for each in self.elements if each.place == place), None)


class Console:
    """A machine's display, keyboard and pointer. Input arrives as events of the machine clock, in order."""

    __slots__ = ("_clock", "_pending", "_sitter", "_was_on", "on_input", "serial")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sitter: Sitter | None = None
        self._pending = 0
        self._was_on = False
        self.on_input: Callable[[str, str, int], object] = _nobody
        """Told of each event before it is handed in (`feed`)."""
        self.serial: Port | None = None
        """The first serial line, where the machine has one."""

    def attach(self, sitter: Sitter) -> None:
        """A guest takes the display and the input devices."""
        self._sitter, self._was_on = sitter, True

    def detach(self) -> None:
        """Reset or power cut: nothing draws and nothing listens."""
        self._sitter = None

    def forget(self) -> None:
        """The guest that had it never was, and what waited for it is not delivered."""
        self._sitter, self._pending = None, 0

    def screen(self) -> Screen:
        """What is shown now."""
        if self._sitter is not None:
            return self._sitter.show()
        if self._was_on:
            return Screen("blank", TEXT_MODE)
        text = "Guest has not initialized the display (yet)."
        return Screen("no display", GRAPHICS_MODE, (Element("notice", text, (0, 224, 640, 32), "centred"),))

    def drives_tablet(self) -> bool:
        """Whether the guest reads absolute pointing devices by now."""
        return self._sitter is not None and self._sitter.drives_tablet()

    def key(self, qcode: str, down: bool) -> None:
        """A key of the keyboard went down or up."""
        self.feed("key", qcode, int(down))

    def pointer(self, kind: str, name: str, value: int) -> None:
        """The pointing device moved or a button of it changed (`Sitter.pointer`)."""
        self.feed(kind, name, value)

    def take(self, kind: str, name: str, value: int) -> None:
        """The guest gets an event now. kind: `key`, or one of `Sitter.pointer`."""
        if self._sitter is None:
            return
        if kind == "key":
            self._sitter.key(name, bool(value))
        else:
            self._sitter.pointer(kind, name, value)

    def feed(self, kind: str, name: str, value: int) -> None:
        """Hand an event in; a boot that is lived again gets its events so."""
        if self._pending >= PENDING_MAX:
            return
        self.on_input(kind, name, value)
        self._pending += 1

        def deliver() -> None:
            self._pending -= 1
            self.take(kind, name, value)

        self._clock.call_in(0, deliver)


def _nobody(kind: str, name: str, value: int) -> None:
    """Nobody notes what the guest is told."""
