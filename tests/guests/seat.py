"""Somebody before the screen of a simulated Windows."""

from __future__ import annotations

from qmpemu.console import Screen
from tests.driven import Driven

SERVER, CLIENT = "windows-server-2022", "windows-10"


class Seat:
    """Somebody before the screen of a machine that has booted."""

    def __init__(self, guest: str = SERVER, settings: str = "", *, boot_s: float = 30) -> None:
        self.driven = Driven(
            "-machine q35 -vga std -device qemu-xhci -device usb-tablet",
            QMPEMU_GUEST=guest,
            QMPEMU_SET=settings,
        )
        self.driven.run(boot_s)

    @property
    def screen(self) -> Screen:
        return self.driven.vm.machine.console.screen()

    @property
    def texts(self) -> str:
        return " | ".join(self.screen.texts())

    def press(self, *keys: str, seconds: float = 1) -> None:
        """Press keys together and let them go."""
        self.driven.say("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
        self.driven.run(seconds)

    def type(self, *keys: str) -> None:
        for key in keys:
            self.press(key)

    def click(self, place: str) -> None:
        """Point at an element and press the left button."""
        element = self.screen.find(place)
        assert element is not None, f"no {place} on {self.screen}"
        left, top, width, height = element.box
        for axis, value, extent in (("x", left + width // 2, 1280), ("y", top + height // 2, 800)):
            self.event("abs", axis=axis, value=value * 0x8000 // extent + 1)
        for down in (True, False):
            self.event("btn", button="left", down=down)
        self.driven.run(1)

    def event(self, kind: str, **data: object) -> None:
        self.driven.say("input-send-event", events=[{"type": kind, "data": data}])

    def do(self, act: str, value: str = "") -> None:
        said = self.driven.say(f"__org.qmpemu_{act}", **({"value": value} if value else {}))
        assert "return" in said[-1], said

    def log_on(self) -> Seat:
        self.press("ctrl", "alt", "delete")
        self.press("a")
        self.press("ret", seconds=4)
        return self
