"""The session manager: a user's applications are asked to agree to the shutdown, and ended, one after the other.

    by shutdown level, high to low:
        WM_QUERYENDSESSION ──yes──> WM_ENDSESSION ──> gone
              │ no, or no answer within HungAppTimeout        (the same when it hangs in WM_ENDSESSION)
              ├── no window, AutoEndTasks=1, forced, or the user said so: killed
              └── else: the full-screen wait, without a limit, until the user or the application acts

Facts: windows-acpi 6. A forced shutdown (EWX_FORCE) sends no query, and kills what does not end in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.activity import Gate
from qmpemu.guests.windows.participants import END_SESSION, HANG, NO, QUERY_END_SESSION, YES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.participants import Application, Response
    from qmpemu.guests.windows.system import System

CONTINUE, CANCEL = "continue", "cancel"
"""What a user can answer to the full-screen wait."""


class UserLoggedOn(Fact):
    """A user's session began."""

    user: str
    applications: int


class UserLoggedOff(Fact):
    """A user's session ended."""

    user: str


class ApplicationAnswered(Fact):
    """An application answered WM_QUERYENDSESSION."""

    application: str
    level: int
    answer: str


class ApplicationHung(Fact):
    """An application did not answer a message of the shutdown within its time-out."""

    application: str
    message: str
    setting: str
    waited_ms: int


class ApplicationEnded(Fact):
    """An application ended. how: by itself, or killed and by which setting or decision."""

    application: str
    how: str


class DocumentsLost(Fact):
    """An application ended with unsaved documents."""

    application: str
    documents: tuple[str, ...]


class ShutdownBlocked(Fact):
    """The full-screen wait: applications prevent the shutdown, and the user is asked; there is no time limit."""

    application: str
    why: str
    shown: str


class BlockedAnswered(Fact):
    """The full-screen wait ended. by: the user's answer, or the application that acted after all."""

    by: str


class Running:
    """An application that runs in a session. documents: open and unsaved."""

    __slots__ = ("application", "documents")

    def __init__(self, application: Application) -> None:
        self.application = application
        self.documents = application.documents


class Session:
    """One user's session. running: by name, in order of start. since_ns: time of log-on, since 1970."""

    __slots__ = ("running", "since_ns", "user")

    def __init__(self, user: str, since_ns: int, applications: Iterable[Application]) -> None:
        self.user = user
        self.since_ns = since_ns
        self.running = {application.name: Running(application) for application in applications}


class SessionManager:
    """Sessions, and how they end."""

    __slots__ = ("_blocked", "_installed", "_override", "_system", "sessions")

    def __init__(self, system: System, installed: tuple[Application, ...]) -> None:
        self._system = system
        self._installed = installed
        self._blocked: Gate | None = None
        self._override = ""
        self.sessions: list[Session] = []

    def log_on(self, user: str) -> None:
        """Begin a session with the installed applications running."""
        self.sessions.append(Session(user, self._system.now_ns, self._installed))
        self._system.facts.chain(UserLoggedOn(user=user, applications=len(self._installed)))

    def users(self) -> list[str]:
        """Who is logged on."""
        return [session.user for session in self.sessions]

    def applications(self) -> list[Application]:
        """Everything that runs, in order of start."""
        return [running.application for session in self.sessions for running in session.running.values()]

    def unsaved(self) -> tuple[str, ...]:
        """Unsaved documents, each with its application's name in front."""
        return tuple(
            f"{name}: {document}"
            for session in self.sessions
            for name, running in session.running.items()
            for document in running.documents
        )

    def answer_blocked(self, decision: str) -> bool:
        """The user answers the full-screen wait with CONTINUE or CANCEL; False if there is none."""
        if self._blocked is None:
            return False
        self._blocked.open(decision)
        return True

    def end_all(self, *, force: bool, overrule: str) -> Steps[bool]:
        """End every session. False: the user cancelled, what is left keeps running.

        force: send no query. overrule: the name of what lets Windows kill the unwilling, or empty.
        """
        self._override = overrule
        for session in list(self.sessions):
            for running in sorted(session.running.values(), key=lambda r: -r.application.level):
                agreed = yield from self._end(running, force=force)
                if not agreed:
                    return False
                del session.running[running.application.name]
            self.sessions.remove(session)
            self._system.facts.chain(UserLoggedOff(user=session.user))
        return True

    # --- one application --------------------------------------------------------------------------------------

    def _end(self, running: Running, *, force: bool) -> Steps[bool]:
        """Ask and end one application; False: the shutdown was cancelled."""
        if not force:
            verdict = yield from self._query(running)
            if verdict != "yes":
                return verdict == "killed"
        settings, application = self._system.settings, running.application
        response = application.response(END_SESSION)
        limit_ms = settings.WaitToKillAppTimeout
        if response.answer == "hang" or response.after_ms > limit_ms:
            yield limit_ms * NS_PER_MS
            self._hung(application, END_SESSION, "WaitToKillAppTimeout", limit_ms)
            verdict = yield from self._unwilling(running, "not responding", _late_ms(response, limit_ms))
            if verdict != "yes":
                return verdict == "killed"
        elif response.after_ms:
            yield response.after_ms * NS_PER_MS
        if application.saves_at_end:
            running.documents = ()
        self._gone(running, "by itself")
        return True

    def _query(self, running: Running) -> Steps[str]:
        """WM_QUERYENDSESSION: "yes", "killed" or "cancel"."""
        application, limit_ms = running.application, self._system.settings.HungAppTimeout
        refuses = running.documents and not application.saves_at_end
        response = application.response(QUERY_END_SESSION, NO if refuses else YES)
        if response.answer == "hang" or response.after_ms > limit_ms:
            yield limit_ms * NS_PER_MS
            self._hung(application, QUERY_END_SESSION, "HungAppTimeout", limit_ms)
            verdict = yield from self._unwilling(running, "not responding", _late_ms(response, limit_ms))
            if verdict != "yes" or response.answer == "yes":
                return verdict
        elif response.after_ms:
            yield response.after_ms * NS_PER_MS
        self._system.facts.chain(
            ApplicationAnswered(application=application.name, level=application.level, answer=response.answer)
        )
        if response.answer == "yes":
            return "yes"
        verdict = yield from self._unwilling(running, "it refused", None)
        return verdict

    def _unwilling(self, running: Running, why: str, late_ms: int | None) -> Steps[str]:
        """Overrule an application or wait: "killed", "cancel", or "yes" if it acted `late_ms` later by itself."""
        killer = self._killer(running.application)
        if not killer:
            application = running.application
            shown = application.block_reason or f"{application.name} is preventing shutdown"
            self._system.facts.chain(ShutdownBlocked(application=application.name, why=why, shown=shown))
            self._blocked = gate = Gate()
            decision = yield gate if late_ms is None else gate.within(late_ms * NS_PER_MS)
            self._blocked = None
            self._system.facts.chain(
                BlockedAnswered(by=f"user: {decision}" if decision else application.name)
            )
            if decision != CONTINUE:
                return CANCEL if decision else "yes"
            killer = self._override = "user"
        self._gone(running, f"killed ({killer})")
        return "killed"

    def _killer(self, application: Application) -> str:
        """By what an unwilling application is ended without asking; empty if the user must be asked."""
        if self._override:
            return self._override
        if self._system.settings.AutoEndTasks:
            return "AutoEndTasks=1"
        return "" if application.window else "no window"

    def _hung(self, application: Application, message: str, setting: str, waited_ms: int) -> None:
        self._system.facts.chain(
            ApplicationHung(
                application=application.name, message=message, setting=setting, waited_ms=waited_ms
            )
        )

    def _gone(self, running: Running, how: str) -> None:
        name, documents = running.application.name, running.documents
        if documents:
            self._system.facts.publish(DocumentsLost(application=name, documents=documents))
            running.documents = ()
        self._system.facts.chain(ApplicationEnded(application=name, how=how))


def _late_ms(response: Response, limit_ms: int) -> int | None:
    """How long after its time-out an application acts by itself; None: never."""
    return None if response.answer == HANG.answer else response.after_ms - limit_ms
