"""What a boot finds on the disk, and does about it: an unclean end shows here, and costs time.

loader   ──two boots in a row failed──> Startup Repair
kernel   ──dirty volumes──> chkdsk ──update begun──> finished or undone
services ──unclean──> events 41 and 6008, before 6005                            facts: windows-acpi 8, 10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows

FAILED_BOOTS = 2
"""Boots in a row that never came to the log-on screen, after which Startup Repair runs (facts 14: U)."""


class StartupRepairRan(Fact):
    """Windows did not start twice in a row; the recovery environment looked for the fault first."""

    failed_boots: int


class VolumeChecked(Fact):
    """chkdsk found a volume's dirty flag, checked the volume and cleared the flag."""

    volume: str
    took_ms: int


class UncleanEndFound(Fact):
    """Windows was running when its power went, and notices that now. asleep: in S3, whose memory went with it."""

    bugcheck: int
    asleep: bool


class Recovery:
    """What one boot makes of the end before it."""

    __slots__ = ("_checked", "_found", "_windows", "doing", "since_ns")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._found = windows.disk.state
        self._checked: list[str] = []
        self.doing = ""
        """What keeps the boot up: `repair`, `check C:`, or nothing; since_ns: from when on, in machine time."""
        self.since_ns = 0

    @property
    def resumes(self) -> bool:
        """Whether memory comes back from hiberfil.sys."""
        return self._found.hiberfile != "none"

    def unread(self) -> tuple[str, ...]:
        """Unsaved documents of a hiberfil.sys that is used up, and whose sessions are not back: a cut takes them."""
        state = self._windows.disk.state
        if state.hiberfile != "none":
            return ()
        return tuple(document for held in state.sessions.values() for document in held.unsaved())

    def loader(self) -> Steps[None]:
        """Before Windows is loaded."""
        windows, found = self._windows, self._found
        failed = found.failed_boots
        if failed >= FAILED_BOOTS:
            windows.system.facts.chain(StartupRepairRan(failed_boots=failed))
            self._begin("repair")
            yield windows.system.settings.startup_repair_ms * NS_PER_MS
            self.doing = ""
            failed = 0
        windows.disk.change(
            boots=found.boots + 1,
            failed_boots=failed + 1,
            running=True,
            asleep=False,
            hiberfile="none",
            sessions=found.sessions if self.resumes else {},
            failed_services=(),
            dialog=found.dialog or found.running,
        )

    def kernel(self) -> Steps[None]:
        """While the kernel starts: volumes are checked before anything is written to them."""
        windows = self._windows
        if self.resumes:
            return
        took_ms = windows.system.settings.chkdsk_ms
        for volume in self._found.dirty:
            self._begin(f"check {volume}")
            yield took_ms * NS_PER_MS
            self.doing = ""
            windows.system.facts.chain(VolumeChecked(volume=volume, took_ms=took_ms))
            self._checked.append(volume)
        windows.disk.change(dirty=())

    def log(self) -> None:
        """What the event log says of the end before, written as it begins."""
        windows, found = self._windows, self._found
        if found.running:
            windows.system.facts.chain(UncleanEndFound(bugcheck=found.bugcheck, asleep=found.asleep))
            data: dict[str, str | int] = {
                "BugcheckCode": found.bugcheck,
                "SleepInProgress": int(found.asleep),
                "PowerButtonTimestamp": 0,
            }
            windows.log.write(41, "The system has rebooted without cleanly shutting down first.", data)
            windows.log.write(6008, "The previous system shutdown was unexpected.")
            windows.disk.change(bugcheck=0)

    def log_checks(self) -> None:
        """chkdsk's own record (Wininit 1001, U), once the log has begun."""
        for volume in self._checked:
            self._windows.log.write(1001, f"Checking file system on {volume}", {"Volume": volume})

    def _begin(self, doing: str) -> None:
        self.doing, self.since_ns = doing, self._windows.system.platform.clock.now_ns
