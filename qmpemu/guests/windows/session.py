"""The session manager: who is logged on, what runs there, and how all of it ends.

    log on ──> session, its applications run ──lock / unlock──> log off | shutdown:
        by shutdown level, high to low, each application is asked and ended (`ending`), then the session is gone

A shutdown that finds a log-off under way waits for it. Facts: windows-acpi 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.facts import Fact
from qmpemu.guests.activity import Gate
from qmpemu.guests.windows.ending import CANCEL, CONTINUE, Ending
from qmpemu.guests.windows.participants import START
from qmpemu.guests.windows.running import Session

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.disk import HeldSession
    from qmpemu.guests.windows.participants import Application
    from qmpemu.guests.windows.system import System

__all__ = ["CANCEL", "CONTINUE", "Session", "SessionManager"]


class UserLoggedOn(Fact):
    """A user's session began."""

    user: str
    applications: int


class UserLoggedOff(Fact):
    """A user's session ended."""

    user: str


class SessionLocked(Fact):
    """A session needs its user's password before anything can be done in it. why: the user, or another log-on."""

    user: str
    why: str


class SessionUnlocked(Fact):
    """A user came back to a locked session."""

    user: str


class LogOffStarted(Fact):
    """A user's applications are asked to end."""

    user: str


class LogOffCancelled(Fact):
    """The user cancelled the log-off; what is left keeps running."""

    user: str


class LogOffAwaited(Fact):
    """A shutdown waits until a log-off that is under way has ended."""

    user: str


class SessionManager:
    """Sessions, and how they end.

    sessions: in order of log-on; the last one has the console. hidden: sessions that no user has and no list shows.
    """

    __slots__ = ("_ending", "_installed", "_log_off", "_system", "arriving", "hidden", "sessions")

    def __init__(self, system: System, installed: tuple[Application, ...]) -> None:
        self._system = system
        self._installed = installed
        self._ending: Ending | None = None
        self._log_off: tuple[str, Gate] | None = None
        self.sessions: list[Session] = []
        self.hidden: list[Session] = []
        self.arriving = ""
        """Who is just logging on, or empty."""

    # --- who is there -----------------------------------------------------------------------------------------

    @property
    def active(self) -> Session | None:
        """The session that has the console."""
        return self.sessions[-1] if self.sessions else None

    def users(self) -> list[str]:
        """Who is logged on."""
        return [session.user for session in self.sessions]

    def of(self, user: str) -> Session | None:
        """A user's session, by the name in any spelling."""
        key = user.casefold()
        return next((session for session in self.sessions if session.user.casefold() == key), None)

    def applications(self) -> list[Application]:
        """Everything that runs, in order of start."""
        return [running.application for session in self._all() for running in session.running.values()]

    def unsaved(self) -> tuple[str, ...]:
        """Unsaved documents, each with its application's name in front."""
        return tuple(
            f"{name}: {document}"
            for session in self._all()
            for name, running in session.running.items()
            for document in running.documents
        )

    # --- coming and going -------------------------------------------------------------------------------------

    def log_on(self, user: str) -> None:
        """Begin a session with the installed applications running; it takes the console."""
        if self.active is not None:
            self.lock(self.active, f"{user} logs on")
        session = Session(user, self._system.now_ns, self._installed)
        self.sessions.append(session)
        self._system.facts.chain(UserLoggedOn(user=user, applications=len(self._installed)))
        for application in self._installed:
            if application.respond is not None:
                application.response(START)
        for call in self._system.hooks.logged_on:
            call(session)

    def contents(self) -> dict[str, HeldSession]:
        """What hiberfil.sys keeps of the users' sessions."""
        return {session.user: session.hold(self._installed) for session in self.sessions}

    def restore(self, user: str, held: HeldSession) -> None:
        """A session comes back from hiberfil.sys as it was."""
        self.log_on(user)
        self.sessions[-1].restore(held)

    def lock(self, session: Session, why: str) -> None:
        """Lock a session; one that is locked stays so."""
        if not session.locked:
            session.locked = True
            self._system.facts.chain(SessionLocked(user=session.user, why=why))

    def unlock(self, session: Session) -> None:
        """Its user comes back; the session takes the console."""
        if self.active is not None and self.active is not session:
            self.lock(self.active, f"{session.user} takes the console")
        self.sessions.remove(session)
        self.sessions.append(session)
        session.locked = False
        self._system.facts.chain(SessionUnlocked(user=session.user))

    def answer_blocked(self, decision: str) -> bool:
        """The user answers the full-screen wait; False if there is none, or it takes no such answer."""
        prompt = self._system.prompts.front
        if prompt is None or decision not in prompt.answers:
            return False
        prompt.answer(decision)
        return True

    # --- how it ends ------------------------------------------------------------------------------------------

    @property
    def logging_off(self) -> str:
        """Whose session is being ended by a log-off, or empty."""
        return "" if self._log_off is None else self._log_off[0]

    def log_off(self, session: Session) -> Steps[None]:
        """End one session, unless its user cancels."""
        gate = Gate()
        self._log_off = session.user, gate
        self._system.facts.chain(LogOffStarted(user=session.user))
        self._ending = Ending(self._system, force=False, overrule="", log_off=True)
        ended = yield from self._end(session, self._ending)
        if not ended:
            self._system.facts.chain(LogOffCancelled(user=session.user))
        self._log_off = None
        gate.open()

    def end_all(self, *, force: bool, overrule: str) -> Steps[bool]:
        """End every session. False: the user cancelled, what is left keeps running.

        force: send no query. overrule: the name of what lets Windows kill the unwilling, or empty.
        """
        yield from self._await_log_off(overrule)
        self._ending = Ending(self._system, force=force, overrule=overrule)
        for session in self._all():
            ended = yield from self._end(session, self._ending)
            if not ended:
                return False
        return True

    def _await_log_off(self, overrule: str) -> Steps[None]:
        if self._log_off is None:
            return
        user, gate = self._log_off
        self._system.facts.chain(LogOffAwaited(user=user))
        if overrule and self._ending is not None:
            self._ending.overrule = overrule
            self.answer_blocked(CONTINUE)
        yield gate

    def _end(self, session: Session, ending: Ending) -> Steps[bool]:
        """End one session's applications, and it; what is started meanwhile is asked too."""
        ended_hooks = self._system.hooks.application_ended
        while session.running:
            for running in sorted(session.running.values(), key=lambda r: -r.application.level):
                agreed = yield from ending.end(running)
                if not agreed:
                    return False
                del session.running[running.application.name]
                for call in ended_hooks:
                    yield from call(session, running)
        self._forget(session)
        return True

    def _forget(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
            self._system.prompts.dismiss(session.user)
            self._system.facts.chain(UserLoggedOff(user=session.user))
        else:
            self.hidden.remove(session)

    def _all(self) -> list[Session]:
        return [*self.sessions, *self.hidden]
