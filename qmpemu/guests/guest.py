"""What a guest is given and what it must answer to. One folder or file beside this one is one operating system.

A guest is loaded when its machine's processor leaves reset and thrown away at reset, power-off and power cut. It
never blocks: it schedules its work on `Platform.clock`. It reaches hardware only through `Platform.acpi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from qmpemu.balloon import Balloon
from qmpemu.console import Console
from qmpemu.hotplug import Hotplug
from qmpemu.virtio_mem import VirtioMem
from qmpemu.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from qmpemu.acpi import FixedHardware
    from qmpemu.core.clock import Lifetime
    from qmpemu.core.facts import Bus
    from qmpemu.hardware import Hardware
    from qmpemu.port import Port


RTC_BASE_NS = 1_704_067_200 * 1_000_000_000
"""2024-01-01T00:00:00Z: what the battery-backed clock shows at machine time 0 when nobody sets it, so that one
seed gives one history down to the time stamps."""


class Store(Protocol):
    """What of a guest outlives a power cut: the content of its disk, as far as the simulation keeps it."""

    def load(self) -> bytes | None:
        """What was saved last; None on a disk on which this guest has never run."""

    def save(self, data: bytes) -> None:
        """Keep this instead, as a whole or not at all."""

    def mark(self, dirty: bool) -> None:
        """Set or clear the dirty flag of the file systems in the disk image, where there is one."""


class MemoryStore:
    """A store that lives as long as its machine: for one without a disk of its own."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data

    def load(self) -> bytes | None:
        """What was saved last."""
        return self.data

    def save(self, data: bytes) -> None:
        """Keep this instead."""
        self.data = data

    def mark(self, dirty: bool) -> None:
        """There is no image."""


class Travelled:
    """The disk of a guest whose boot is lived again: `real` is written only once it is alive."""

    __slots__ = ("_alive", "_data", "_real")

    def __init__(self, data: bytes | None, real: Store, alive: Callable[[], bool]) -> None:
        """data: what the disk held when that boot began."""
        self._data = data
        self._real: Store = real._real if isinstance(real, Travelled) else real
        self._alive = alive

    def load(self) -> bytes | None:
        """What was saved last in this life."""
        return self._data

    def save(self, data: bytes) -> None:
        """Keep this instead."""
        self._data = data
        if self._alive():
            self._real.save(data)

    def mark(self, dirty: bool) -> None:
        """Once alive, set or clear the flag in the image; until then it is as the source left it."""
        if self._alive():
            self._real.mark(dirty)


def _no_alarm(delay_ns: int) -> None:
    """A machine whose clock wakes nobody."""


def _plain() -> Hardware:
    """A machine that nobody described."""
    from qmpemu.hardware import plain

    return plain()


def _nobody_asks() -> None:
    """A machine that does not care which software runs on it."""


def _nobody_hears(codes: tuple[int, ...]) -> None:
    """A machine without a device that takes it."""


class Platform:
    """The machine as its software sees it.

    console: its display, keyboard, pointer and serial line.

    clock: lives as long as this boot. rng: this machine's own seeded generator. ports: virtio-serial ports by name.
    store: its disk. alarm(delay_ns): lets the clock wake the machine from S3. rtc_base_ns: the battery-backed clock at
    machine time 0, in nanoseconds since 1970. hardware(): what devices there are now.
    hotplug: tells of those that come and go. balloon: what memory the host wants back. virtio_mem: what it
    wants in use of such devices. os_started(): the operating system's ACPI driver runs.
    watchdog: counts down unless it is fed. panic(codes): the kernel has died, with a stop code and its parameters.
    set_rtc(time_ns): sets the battery-backed clock. true_time_ns(): what a time server says.
    """

    __slots__ = (
        "acpi",
        "alarm",
        "balloon",
        "clock",
        "console",
        "facts",
        "hardware",
        "hotplug",
        "os_started",
        "panic",
        "ports",
        "rng",
        "rtc_base_ns",
        "set_rtc",
        "store",
        "true_time_ns",
        "virtio_mem",
        "watchdog",
    )

    def __init__(
        self,
        acpi: FixedHardware,
        clock: Lifetime,
        facts: Bus,
        rng: Random,
        ports: Mapping[str, Port],
        rtc_base_ns: int = RTC_BASE_NS,
        store: Store | None = None,
        alarm: Callable[[int], object] = _no_alarm,
        hardware: Callable[[], Hardware] = _plain,
        hotplug: Hotplug | None = None,
        balloon: Balloon | None = None,
        os_started: Callable[[], object] = _nobody_asks,
        set_rtc: Callable[[int], object] = _no_alarm,
        true_time_ns: Callable[[], int] | None = None,
        console: Console | None = None,
        watchdog: Watchdog | None = None,
        panic: Callable[[tuple[int, ...]], object] = _nobody_hears,
        virtio_mem: VirtioMem | None = None,
    ) -> None:
        self.acpi = acpi
        self.clock = clock
        self.facts = facts
        self.rng = rng
        self.ports = ports
        self.rtc_base_ns = rtc_base_ns
        self.alarm = alarm
        self.hardware = hardware
        self.hotplug = Hotplug() if hotplug is None else hotplug
        self.balloon = Balloon(0) if balloon is None else balloon
        self.os_started = os_started
        self.set_rtc = set_rtc
        self.true_time_ns = true_time_ns or (lambda: rtc_base_ns + clock.now_ns)
        self.console = Console(clock) if console is None else console
        self.watchdog = Watchdog() if watchdog is None else watchdog
        self.panic = panic
        self.virtio_mem = VirtioMem() if virtio_mem is None else virtio_mem
        self.store: Store = MemoryStore() if store is None else store


class Guest(Protocol):
    """The hardware's view of a guest (the same calls as `machine.processor` makes)."""

    def power_on(self) -> None:
        """The processor leaves reset: firmware starts."""

    def interrupt(self) -> None:
        """The SCI line is high."""

    def nmi(self) -> None:
        """A non-maskable interrupt arrived."""

    def resume(self) -> None:
        """The machine left S3; memory is intact."""

    def power_lost(self) -> None:
        """Reset or power cut: everything volatile is gone."""
