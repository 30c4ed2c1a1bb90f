"""Devices that come and go while Windows runs: Plug and Play over ACPI, and the drivers of balloon and virtio-mem.

A device that came is started after a moment; one that is asked to go is let go, kept, or the question is left
unanswered (setting device_removal). What came before Windows' ACPI driver runs is simply there at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.hotplug import EJECT_REQUESTED, INSERTED, NON_SPECIFIC_FAILURE, SUCCESS

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows
    from qmpemu.hotplug import Notice

START_NS = 200 * NS_PER_MS
"""From the bus check to a started device (U)."""
REMOVE_NS = 300 * NS_PER_MS
"""From the eject request to _EJ0 (U): libvirt waits five seconds for it."""
STEP_BYTES = 64 << 20
"""The drivers of balloon and virtio-mem move by so much at a time (U)."""
STEP_NS = 20 * NS_PER_MS
IN_USE_BYTES = 700 << 20
"""What Windows itself occupies, of which the balloon gets nothing (U)."""
KEPT_SHARE = 4
"""No balloon takes the last quarter of the memory."""


class DeviceStarted(Fact):
    """Windows has started a device that was plugged in."""

    driver: str
    id: str | None


class DeviceEjected(Fact):
    """Windows has let a device go."""

    driver: str
    id: str | None


class DeviceKept(Fact):
    """Windows was asked to let a device go and does not (device_removal). answered: it said so."""

    driver: str
    id: str | None
    answered: bool


class PlugAndPlay:
    """One booted Windows' part in hot plug."""

    __slots__ = ("_balloon_moves", "_memory_moves", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._balloon_moves = False
        self._memory_moves = False

    def start(self) -> None:
        """The ACPI driver and those of balloon and virtio-mem run."""
        platform = self._windows.system.platform
        platform.hotplug.on_notice = self._look
        platform.os_started()
        self._look()
        self._windows.watchdog.start()
        balloon = platform.balloon
        if balloon.present:
            balloon.on_ask = self._inflate
            balloon.stats = self._stats
            self._inflate()
        platform.virtio_mem.on_ask = self._resize
        self._resize()

    def _look(self) -> None:
        for notice in self._windows.system.platform.hotplug.take():
            self._windows.system.activities.start(
                self._leave(notice) if notice.leaving else self._come(notice)
            )

    def _come(self, notice: Notice) -> Steps[None]:
        yield START_NS
        notice.start()
        self._windows.system.facts.chain(DeviceStarted(driver=notice.driver, id=notice.id))
        notice.report(INSERTED, SUCCESS)
        self._windows.watchdog.start()

    def _leave(self, notice: Notice) -> Steps[None]:
        answer = self._windows.system.settings.device_removal
        yield REMOVE_NS
        facts = self._windows.system.facts
        if answer == "accept":
            facts.chain(DeviceEjected(driver=notice.driver, id=notice.id))
            notice.report(EJECT_REQUESTED, SUCCESS)
            notice.eject()
            return
        facts.chain(DeviceKept(driver=notice.driver, id=notice.id, answered=answer == "refuse"))
        if answer == "refuse":
            notice.report(EJECT_REQUESTED, NON_SPECIFIC_FAILURE)
            notice.refuse()

    # --- virtio-mem -----------------------------------------------------------------------------------------------

    def _resize(self) -> None:
        memory = self._windows.system.platform.virtio_mem
        if not self._memory_moves and memory.plugged != memory.requested:
            self._memory_moves = True
            self._windows.system.activities.start(self._plug())

    def _plug(self) -> Steps[None]:
        """Step by step, device by device, to what the host wants: Windows takes and gives all of it."""
        memory = self._windows.system.platform.virtio_mem
        while memory.plugged != memory.requested:
            yield STEP_NS
            for path, wanted in memory.requested.items():
                gap = wanted - memory.plugged[path]
                step = min(abs(gap), STEP_BYTES)
                memory.give(path, memory.plugged[path] + (step if gap > 0 else -step))
        self._memory_moves = False

    # --- the balloon ----------------------------------------------------------------------------------------------

    def _inflate(self) -> None:
        if not self._balloon_moves:
            self._balloon_moves = True
            self._windows.system.activities.start(self._move())

    def _move(self) -> Steps[None]:
        """Step by step towards what the host wants, as far as Windows can."""
        platform = self._windows.system.platform
        balloon = platform.balloon
        least = platform.hardware().memory_bytes // KEPT_SHARE
        while True:
            gap = max(balloon.target_bytes, least) - balloon.actual_bytes
            if not gap:
                break
            yield STEP_NS
            step = min(abs(gap), STEP_BYTES)
            balloon.give(balloon.actual_bytes + (step if gap > 0 else -step))
        self._balloon_moves = False

    def _stats(self) -> dict[str, int]:
        """What the driver tells of Windows' memory, in bytes or counts."""
        system = self._windows.system
        total = system.platform.balloon.actual_bytes
        free = max(0, total - min(IN_USE_BYTES, total // 2))
        faults = int(system.platform.clock.now_ns // NS_PER_S) * 40
        return {
            "swap-in": 0,
            "swap-out": 0,
            "major-faults": faults // 20,
            "minor-faults": faults,
            "free-memory": free,
            "total-memory": total,
            "available-memory": free + total // 10,
            "disk-caches": total // 10,
        }
