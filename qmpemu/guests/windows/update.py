"""Windows Update at shutdown (C1): servicing that has to end before the power goes, whoever asked for the shutdown.

staged ──shutdown──> installing 0..100 % ──> installed ──next boot──> configured, none
                         │ no progress for BlockTimeIncrement: the watchdog gives up
                         └──> abandoned ──next boot──> undone, none
installing when the power is cut ──next boot──> undone, none                     facts: windows-acpi 9
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.guests.activity import Gate
from qmpemu.guests.registry import GuestError, nearest
from qmpemu.guests.windows.disk import UpdateKind

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.disk import Disk
    from qmpemu.guests.windows.system import System

SERVICE = "TrustedInstaller"
"""The service that installs at shutdown, and whose watchdog gives up."""

STEP_PERCENT = 5
STUCK_AT_PERCENT = 35
UNDO_PARTS = 10


class UpdateStaged(Fact):
    """An update waits for the next shutdown. kind: quick, slow or stuck."""

    kind: str


class UpdateScreenShown(Fact):
    """The screen says how far an update is. text: what it shows, in Windows' words (facts 9)."""

    stage: str
    percent: int
    text: str


class UpdateStalled(Fact):
    """Servicing makes no progress; its watchdog gives up after limit_s without any."""

    participant: str
    setting: str
    limit_s: int


class UpdateAbandoned(Fact):
    """The watchdog gave up: what was installed is uninstalled at the next start."""

    percent: int


class UpdateEnded(Fact):
    """An update is over. outcome: installed (the rest comes at the next start), configured, undone."""

    outcome: str


class Update:
    """Servicing of one booted Windows."""

    __slots__ = ("_disk", "_system", "_text", "half_applied")

    def __init__(self, system: System, disk: Disk) -> None:
        self._system = system
        self._disk = disk
        self._text = ""
        self.half_applied = ""
        """What a power cut would break off now: `installing 35 %`, `configuring`, `undoing 20 %`, or nothing."""

    @property
    def screen(self) -> str:
        """What the full screen says while an update is being worked on, else nothing."""
        return self._text if self.half_applied else ""

    @property
    def waits(self) -> bool:
        """Whether the next shutdown installs one."""
        return self._disk.state.update == "staged"

    def stage(self, kind: str) -> None:
        """Make an update wait for the next shutdown. Raises GuestError."""
        kinds = [name for name in get_args(UpdateKind) if name != "none"]
        kind = kind or "quick"
        if kind not in kinds:
            raise GuestError(f"update '{kind}' does not exist: {nearest(kind, kinds)}")
        if self._disk.state.update != "none":
            raise GuestError(f"an update is {self._disk.state.update} already")
        self._disk.change(update="staged", update_kind=kind, update_percent=0)
        self._system.facts.chain(UpdateStaged(kind=kind))

    def at_shutdown(self) -> Steps[None]:
        """Install what waits; nothing that asked for the shutdown makes it shorter."""
        if not self.waits:
            return
        settings, kind = self._system.settings, self._disk.state.update_kind
        whole_ms = settings.update_slow_ms if kind == "slow" else settings.update_quick_ms
        for percent in range(0, 100, STEP_PERCENT):
            self._progress("installing", percent)
            if kind == "stuck" and percent >= STUCK_AT_PERCENT:
                yield from self._stuck(percent)
                return
            yield whole_ms * STEP_PERCENT // 100 * NS_PER_MS
        self._disk.change(update="installed", update_percent=100)
        self.half_applied = ""
        self._system.facts.chain(UpdateEnded(outcome="installed"))

    def at_boot(self) -> Steps[None]:
        """Finish or undo what an earlier shutdown has begun."""
        state, settings = self._disk.state, self._system.settings
        if state.update == "installed":
            self._show("configuring", 100, "Getting Windows ready. Don't turn off your computer")
            self.half_applied = (
                "configuring"  # its screen says that all is installed, and not how far this is
            )
            yield settings.update_configure_ms * NS_PER_MS
            self._over("configured")
        elif state.update in ("installing", "abandoned"):
            for part in range(UNDO_PARTS):
                self._show("undoing", part * 100 // UNDO_PARTS, "Undoing changes made to your computer")
                yield settings.update_undo_ms // UNDO_PARTS * NS_PER_MS
            self._over("undone")

    def _stuck(self, percent: int) -> Steps[None]:
        limit_s = self._system.settings.BlockTimeIncrement
        self._system.facts.chain(
            UpdateStalled(participant=SERVICE, setting="BlockTimeIncrement", limit_s=limit_s)
        )
        if not limit_s:
            yield Gate()
        yield limit_s * NS_PER_S
        self._disk.change(update="abandoned")
        self.half_applied = ""
        self._system.facts.chain(UpdateAbandoned(percent=percent))

    def _progress(self, stage: str, percent: int) -> None:
        self._disk.change(update="installing", update_percent=percent)
        self._show(stage, percent, f"Working on updates {percent}% complete. Don't turn off your computer")

    def _show(self, stage: str, percent: int, text: str) -> None:
        self.half_applied = f"{stage} {percent} %"
        self._text = text
        self._system.facts.chain(UpdateScreenShown(stage=stage, percent=percent, text=text))

    def _over(self, outcome: str) -> None:
        self._disk.change(update="none", update_kind="none", update_percent=0)
        self.half_applied = ""
        self._system.facts.chain(UpdateEnded(outcome=outcome))
