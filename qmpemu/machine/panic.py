"""pvpanic: the port by which a guest's driver tells that its kernel has died (QEMU's docs/specs/pvpanic).

guest writes 1 ──> on_panic()        2 ──> on_crash_loaded(): a crash kernel takes over, nothing is wrong yet
guest reads    ──> the kinds the device takes
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qmpemu.machine.machine import Machine

DRIVER, DEFAULT_PORT = "pvpanic", 0x505
PANICKED, CRASH_LOADED = 1, 2


class PanicDevice:
    """One pvpanic device (ISA) at `port`, which takes the kinds in `events`."""

    __slots__ = ("_events", "_on_crash_loaded", "_on_panic", "port")

    def __init__(
        self, port: int, events: int, on_panic: Callable[[], None], on_crash_loaded: Callable[[], None]
    ) -> None:
        self.port = port
        self._events = events
        self._on_panic = on_panic
        self._on_crash_loaded = on_crash_loaded

    def read(self, offset: int, size: int) -> int:
        """The kinds the device takes."""
        return self._events

    def write(self, offset: int, value: int, size: int) -> None:
        """Tell of one kind; a panic hides the other, an unknown one says nothing."""
        if value & PANICKED:
            self._on_panic()
        elif value & CRASH_LOADED:
            self._on_crash_loaded()


def tell(machine: Machine, codes: tuple[int, ...]) -> None:
    """The guest's kernel has died: its drivers tell the devices that there are. codes: stop code and parameters."""
    for device in machine.devices.of_kind(DRIVER):
        if number(device.values.get("events"), PANICKED | CRASH_LOADED) & PANICKED:
            machine.board.guest_panicked()
    if machine.config.cpu_features.get("hv-crash") is True and machine.config.accel == "kvm":
        machine.board.guest_panicked(codes)


def options_of(devices: Iterable[Mapping[str, object]]) -> Mapping[str, object] | None:
    """The options of the first pvpanic among `devices`, or None."""
    return next((device for device in devices if device["driver"] == DRIVER), None)


def number(value: object, default: int) -> int:
    """A device option as a number: an integer, or text as C writes it; what is neither counts as absent."""
    try:
        return default if value is None else int(str(value), 0)
    except ValueError:
        return default
