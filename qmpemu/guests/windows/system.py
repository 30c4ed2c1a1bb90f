"""What every part of the simulated Windows shares: platform, settings, its activities, and the phase of its life.

firmware -> boot loader -> kernel start -> services start -> running -> shutting down -> off | halted | restarting
                                              running -> falling asleep -> asleep -> waking -> running
                                              any of them with a kernel -> crash screen; running, shutting down -> hung
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.core.table import Table
from qmpemu.guests.activity import Activities
from qmpemu.guests.windows.hooks import Hooks
from qmpemu.guests.windows.prompts import Prompts
from qmpemu.guests.windows.writes import Writes

if TYPE_CHECKING:
    from qmpemu.guests.guest import Platform
    from qmpemu.guests.windows.settings import Settings

OFF, FIRMWARE, LOADER, KERNEL, SERVICES = "off", "firmware", "boot loader", "kernel start", "services start"
RUNNING, STOPPING, HALTED, RESTARTING = "running", "shutting down", "halted", "restarting"
FALLING_ASLEEP, ASLEEP, HIBERNATED, WAKING = "falling asleep", "asleep", "hibernated", "waking"
CRASHED, HUNG = "crash screen", "hung"

LIFE = Table(
    "Windows",
    {
        OFF: {"power good": FIRMWARE},
        FIRMWARE: {"self test done": LOADER},
        LOADER: {"kernel loaded": KERNEL},
        KERNEL: {"OSPM on": SERVICES, "bugcheck": CRASHED},
        SERVICES: {"log-on screen up": RUNNING, "bugcheck": CRASHED},
        RUNNING: {"shut down": STOPPING, "sleep": FALLING_ASLEEP, "bugcheck": CRASHED, "hang": HUNG},
        FALLING_ASLEEP: {"S3 written": ASLEEP, "S4 written": HIBERNATED, "bugcheck": CRASHED},
        ASLEEP: {"wake": WAKING},
        WAKING: {"OSPM on": RUNNING, "bugcheck": CRASHED},
        STOPPING: {
            "cancel": RUNNING,
            "S5 written": OFF,
            "S4 written": HIBERNATED,
            "halt": HALTED,
            "reset written": RESTARTING,
            "bugcheck": CRASHED,
            "hang": HUNG,
        },
        HUNG: {"bugcheck": CRASHED},
        CRASHED: {},
    },
)
"""Phases of Windows' life and what moves it from one to the next."""

DEAD = frozenset({OFF, HIBERNATED, HALTED, RESTARTING})
"""Phases in which a power cut takes nothing away."""

DEAF = frozenset({CRASHED, HALTED, HUNG})
"""Phases in which interrupts are off."""


HAS_DRIVERS = frozenset({SERVICES, RUNNING, STOPPING, FALLING_ASLEEP, WAKING})
"""Phases in which the drivers of the kernel run."""


class PhaseEntered(Fact):
    """Windows went on to another phase of its life."""

    phase: str


class System:
    """Shared by all parts of one booted Windows."""

    __slots__ = (
        "_ahead_ns",
        "activities",
        "computer",
        "facts",
        "hooks",
        "phase",
        "platform",
        "prompts",
        "settings",
        "writes",
    )

    def __init__(self, platform: Platform, settings: Settings) -> None:
        self.platform = platform
        self.settings = settings
        self.facts = platform.facts
        self.activities = Activities(platform.clock, platform.facts)
        self.computer = settings.ComputerName
        self.phase = OFF
        self.hooks = Hooks()
        self.prompts = Prompts()
        self.writes = Writes()
        self._ahead_ns = 0

    @property
    def now_ns(self) -> int:
        """The time of day, in nanoseconds since 1970."""
        return self.platform.rtc_base_ns + self.platform.clock.now_ns + self._ahead_ns

    def set_time(self, time_ns: int) -> None:
        """Set it, and the battery-backed clock."""
        self._ahead_ns += time_ns - self.now_ns
        self.platform.set_rtc(time_ns)

    def allows(self, given: str) -> bool:
        """Whether `given` may happen in this phase."""
        return LIFE.allows(self.phase, given)

    def move(self, given: str) -> None:
        """Go on to the phase that `given` leads to. Raises Refused."""
        self.phase = LIFE.next(self.phase, given)
        self.facts.chain(PhaseEntered(phase=self.phase))

    def boot_ns(self, duration_ms: int) -> int:
        """A boot duration in nanoseconds, varied by the seed as far as `boot_jitter_percent` allows."""
        jitter = self.settings.boot_jitter_percent
        factor = 1 + self.platform.rng.uniform(-jitter, jitter) / 100 if jitter else 1
        return int(duration_ms * factor * NS_PER_MS)
