"""An NTFS volume, as far as a shutdown can harm it: its dirty flag.

    clean --mount for writing--> dirty (online, with outstanding changes) --flush and dismount--> clean

A power cut leaves the flag as it stands; the next start then finds a volume to check (facts: windows-acpi 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.disk import Disk
    from qmpemu.guests.windows.system import System


class VolumeMounted(Fact):
    """A volume came online for writing: its dirty flag is set until it is flushed and dismounted."""

    volume: str


class VolumeFlushed(Fact):
    """A volume's buffers are on the disk. dirty: whether its flag stays set, because it is still in use."""

    volume: str
    dirty: bool


class Volume:
    """One volume of a booted Windows."""

    __slots__ = ("_disk", "_system", "dirty", "name")

    def __init__(self, system: System, name: str, disk: Disk) -> None:
        self._disk = disk
        self._system = system
        self.name = name
        self.dirty = False

    def mount(self) -> None:
        """Bring it online."""
        self.dirty = True
        self._disk.change(dirty=(self.name,))
        self._system.facts.publish(VolumeMounted(volume=self.name))

    def flush(self, *, dismount: bool) -> Steps[None]:
        """Write everything out; only a dismounted volume is clean."""
        yield from self._system.writes.wait()
        yield self._system.settings.volume_flush_ms * NS_PER_MS
        self.dirty = self.dirty and not dismount
        self._disk.change(dirty=(self.name,) if self.dirty else ())
        self._system.facts.chain(VolumeFlushed(volume=self.name, dirty=self.dirty))
