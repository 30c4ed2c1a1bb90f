"""The Shutdown Event Tracker (C2): Windows wants a reason from whoever sits at the console, and waits for it.

    before a shutdown   where it is on, somebody is logged on, and a service or driver has failed since the start (C2)
    after an unclean end   who logs on is asked why until one has answered; who does not in 2 minutes is logged off

Sources: facts windows-acpi 8. That a press of the button prompts is said by the mission's vendor only (C2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.guests.windows.system import RUNNING

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.running import Session
    from qmpemu.guests.windows.windows import Windows

REASON_LIMIT_S = 120
"""How long the dialog after an unclean end waits before it logs the user off (facts 8, A)."""

NEVER, ALWAYS, SERVER_ONLY, WORKSTATION_ONLY = 0, 1, 2, 3
CANCEL = "cancel"
PLANNED = ("Other (Planned)", "Operating System: Reconfiguration (Planned)", CANCEL)
UNPLANNED = (
    "Other Failure: System Unresponsive",
    "System Failure: Stop error",
    "Power Failure: Cord Unplugged",
    "Power Failure: Environment",
)
"""What is offered; any other text is taken as a reason, too (facts 8)."""


class ReasonPrompted(Fact):
    """Windows asks at the console for the reason of a shutdown, and waits. failed: what went wrong before."""

    setting: str
    value: int
    failed: tuple[str, ...]


class ReasonGiven(Fact):
    """Somebody answered. unexpected: it is about an end that has been."""

    reason: str
    unexpected: bool


class ReasonRefused(Fact):
    """Nobody answered in time: the user is logged off again."""

    user: str


class Tracker:
    """The tracker of one booted Windows."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        windows.system.hooks.logged_on.append(self._logged_on)

    @property
    def is_on(self) -> bool:
        """Whether this edition shows it."""
        mode = self._windows.system.settings.ShutdownReasonOn
        server = self._windows.installation.edition.kind == "server"
        return mode == ALWAYS or mode == (SERVER_ONLY if server else WORKSTATION_ONLY)

    def before_shutdown(self) -> Steps[tuple[bool, str]]:
        """Ask, where C2 holds: whether the shutdown goes on, and the reason given."""
        windows = self._windows
        failed = tuple(windows.services.failed)
        if not (self.is_on and failed and windows.sessions.sessions):
            return True, ""
        value = windows.system.settings.ShutdownReasonOn
        windows.system.facts.chain(ReasonPrompted(setting="ShutdownReasonOn", value=value, failed=failed))
        text = "Shutdown Event Tracker: why do you want to shut down?"
        reason = yield from windows.system.prompts.ask(text, PLANNED, free=True, kind="tracker")
        if reason == CANCEL:
            return False, ""
        windows.system.facts.chain(ReasonGiven(reason=reason, unexpected=False))
        return True, reason

    def _leaving(self) -> bool:
        """Whether sessions end anyway: a shutdown or a log-off is under way."""
        windows = self._windows
        return windows.system.phase != RUNNING or bool(windows.sessions.logging_off)

    def _logged_on(self, session: Session) -> None:
        if self._windows.disk.state.dialog and self.is_on:
            self._windows.system.activities.start(self._ask_why(session))

    def _ask_why(self, session: Session) -> Steps[None]:
        windows = self._windows
        text = "Shutdown Event Tracker: why did the computer shut down unexpectedly?"
        limit_ns = REASON_LIMIT_S * NS_PER_S
        prompts, user = windows.system.prompts, session.user
        reason = yield from prompts.ask(
            text, UNPLANNED, limit_ns=limit_ns, free=True, user=user, kind="tracker"
        )
        if not windows.disk.state.dialog or session not in windows.sessions.sessions:
            return
        if not reason:
            if self._leaving():
                return
            windows.system.facts.chain(ReasonRefused(user=user))
            yield from windows.sessions.log_off(session)
            return
        windows.disk.change(dialog=False)
        for other in windows.sessions.users():
            prompts.dismiss(other)
        windows.system.facts.chain(ReasonGiven(reason=reason, unexpected=True))
        text = f"The reason supplied by user {user} for the last unexpected shutdown of this computer"
        windows.log.write(1076, f"{text} is: {reason}", {"Reason": reason})
