"""The Volume Shadow Copy Service as the guest agent uses it: writes are flushed and held, for 10 s at most.

    writing ──freeze: writers prepare, flush──> held ──thaw──> writing
                                                 └── 10 s ──> writing, and thaw says that it came too late

A shutdown, sleep or update that has to write meanwhile waits. volsnap logs event 8 when the time runs out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.guests.agent.host import HostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmpemu.core.clock import Timer
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows

HOLD_MAX_S = 10
TOO_LATE = "couldn't hold writes: fsfreeze is limited up to 10 seconds: "
"""The agent's text; behind the colon Windows has none for this code."""


class WritesHeld(Fact):
    """A snapshot may be taken: everything is on the disk, and writes wait."""

    volumes: int


class WritesReleased(Fact):
    """Writes go on. why: thaw, or the time that Windows holds them was over."""

    why: str


class Snapshots:
    """The one freeze there can be at a time."""

    __slots__ = ("_ends", "_expired", "_timer", "_volumes", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._volumes = 0
        self._timer: Timer | None = None
        self._expired = False
        self._ends = 0
        """Counts thaws: a freeze whose requester is gone before it is done is none."""

    def freeze(self, mount_points: Sequence[str] | None) -> Steps[int]:
        """Flush and hold; of how many volumes. Raises HostError."""
        system, ends = self._windows.system, self._ends
        count = self._count(mount_points)
        if not count:
            return 0
        yield system.settings.vss_freeze_ms * NS_PER_MS
        yield from self._windows.volume.flush(dismount=False)
        if ends != self._ends:
            return 0
        self._volumes = count
        self._expired = False
        system.writes.hold()
        self._timer = system.activities.after(HOLD_MAX_S * NS_PER_S, self._expire)
        system.facts.chain(WritesHeld(volumes=self._volumes))
        return self._volumes

    def _count(self, mount_points: Sequence[str] | None) -> int:
        """How many volumes are meant. Raises HostError for one that cannot be."""
        known = {_key(p.mount_point) for p in self._windows.storage.partitions() if p.type == "NTFS"}
        for each in mount_points or ():
            if _key(each) not in known:
                raise HostError(f"failed to add {each} to snapshot set: ")
        return len(known) if mount_points is None else len({_key(each) for each in mount_points})

    def thaw(self) -> int:
        """Release; of how many volumes, 0 if none was held. Raises HostError after the time-out."""
        self._ends += 1
        if self._expired:
            self._expired = False
            self._volumes = 0
            raise HostError(TOO_LATE)
        count, self._volumes = self._volumes, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._release("thaw")
        return count

    def _expire(self) -> None:
        self._timer = None
        self._expired = True
        self._windows.log.write(
            8,
            "The flush and hold writes operation on volume C: timed out while waiting for a release writes command.",
        )
        self._release(f"held for {HOLD_MAX_S} s")

    def _release(self, why: str) -> None:
        self._windows.system.writes.release()
        self._windows.system.facts.chain(WritesReleased(why=why))


def _key(mount_point: str) -> str:
    return mount_point.casefold().rstrip("\\")
