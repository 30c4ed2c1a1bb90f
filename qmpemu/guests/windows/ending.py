"""How one application is asked to end, and ended.

    WM_QUERYENDSESSION ──yes──> WM_ENDSESSION ──> gone
          │ no, or no answer within HungAppTimeout        (the same when it hangs in WM_ENDSESSION)
          ├── no window, SHUTDOWN_NORETRY, AutoEndTasks=1, forced, or the user said so: killed
          └── else: the full-screen wait, without a limit, until the user or the application acts

A console program gets CTRL_CLOSE_EVENT instead of both. Facts: windows-acpi 6. A forced end (EWX_FORCE) sends no
query, and kills what does not end in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.windows.participants import (
    CONSOLE_CLOSE,
    END_SESSION,
    NO,
    QUERY_END_SESSION,
    YES,
)

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.participants import Application, Response
    from qmpemu.guests.windows.running import Running
    from qmpemu.guests.windows.system import System

CONTINUE, CANCEL, SAVE, DISCARD = "continue", "cancel", "save", "discard"
"""What a user can answer to the full-screen wait; the last two where an application asks about its documents."""

AGREED, KILLED, CANCELLED = "agreed", "killed", "cancelled"
"""What came of one application."""


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


class DocumentsDiscarded(Fact):
    """The user chose not to save."""

    application: str
    documents: tuple[str, ...]


class DocumentsSaved(Fact):
    """Documents were saved on the way out. by: the user who was asked, or the application itself."""

    application: str
    documents: tuple[str, ...]
    by: str


class SaveChangesAsked(Fact):
    """An application asks its user whether to save, and does not end before the answer."""

    application: str
    documents: tuple[str, ...]


class ShutdownBlocked(Fact):
    """The full-screen wait: applications prevent the shutdown, and the user is asked; there is no time limit."""

    application: str
    why: str
    shown: str


class LogOffBlocked(Fact):
    """The same for a log-off."""

    application: str
    why: str
    shown: str


class BlockedAnswered(Fact):
    """The full-screen wait ended. by: the user's answer, or the application that acted after all."""

    by: str


class Ending:
    """One shutdown's or log-off's way with applications.

    force: send no query. overrule: the name of what lets Windows kill the unwilling, or empty.
    """

    __slots__ = ("_blocked", "_system", "force", "overrule")

    def __init__(self, system: System, *, force: bool, overrule: str, log_off: bool = False) -> None:
        self._system = system
        self._blocked: type[ShutdownBlocked] | type[LogOffBlocked] = (
            LogOffBlocked if log_off else ShutdownBlocked
        )
        self.force = force
        self.overrule = overrule

    def end(self, running: Running) -> Steps[bool]:
        """Ask and end one application; False: the user cancelled."""
        if running.application.console:
            yield from self._close_console(running)
            return True
        if not self.force:
            came = yield from self._query(running)
            if came != AGREED:
                return came == KILLED
        response, limit_ms = running.response(END_SESSION), self._system.settings.WaitToKillAppTimeout
        if response.answer == "hang" or response.after_ms > limit_ms:
            came = yield from self._overdue(running, END_SESSION, "WaitToKillAppTimeout", limit_ms, response)
            if came != AGREED:
                return came == KILLED
        elif response.after_ms:
            yield response.after_ms * NS_PER_MS
        if running.application.saves_at_end and response.answer != "crashed":
            yield from self._save(running, by=running.application.name)
        self._gone(running, "crashed" if response.answer == "crashed" else "by itself")
        return True

    def _query(self, running: Running) -> Steps[str]:
        """WM_QUERYENDSESSION."""
        application, limit_ms = running.application, self._system.settings.HungAppTimeout
        unsaved = bool(running.documents) and not application.saves_at_end
        response = running.response(QUERY_END_SESSION, NO if unsaved else YES)
        if response.answer == "crashed":
            self._gone(running, "crashed")
            return KILLED
        if response.answer == "hang" or response.after_ms > limit_ms:
            came = yield from self._overdue(running, QUERY_END_SESSION, "HungAppTimeout", limit_ms, response)
            if came != AGREED or response.answer == "yes":
                return came
        elif response.after_ms:
            yield response.after_ms * NS_PER_MS
        self._system.facts.chain(
            ApplicationAnswered(application=application.name, level=application.level, answer=response.answer)
        )
        if response.answer == "yes":
            return AGREED
        came = yield from self._unwilling(running, "it refused", None, asks=unsaved)
        return came

    def _close_console(self, running: Running) -> Steps[None]:
        """CTRL_CLOSE_EVENT: a console program cannot refuse; HungAppTimeout is what it gets (facts 6)."""
        response, limit_ms = running.response(CONSOLE_CLOSE), self._system.settings.HungAppTimeout
        late = response.answer == "hang" or response.after_ms > limit_ms
        wait_ms = limit_ms if late else response.after_ms
        if wait_ms:
            yield wait_ms * NS_PER_MS
        if late:
            self._hung(running.application, CONSOLE_CLOSE, "HungAppTimeout", limit_ms)
        if running.application.saves_at_end and not late and response.answer == "yes":
            yield from self._save(running, by=running.application.name)
        how = "killed (console program)" if late or response.answer == "no" else "by itself"
        self._gone(running, "crashed" if response.answer == "crashed" else how)

    def _overdue(
        self, running: Running, message: str, setting: str, limit_ms: int, response: Response
    ) -> Steps[str]:
        """A time-out passes; AGREED if the application acts by itself before somebody ends it."""
        yield limit_ms * NS_PER_MS
        self._hung(running.application, message, setting, limit_ms)
        late_ms = None if response.answer == "hang" else response.after_ms - limit_ms
        came = yield from self._unwilling(running, "not responding", late_ms)
        return came

    def _unwilling(
        self, running: Running, why: str, late_ms: int | None, *, asks: bool = False
    ) -> Steps[str]:
        """Overrule an application or wait for the user, or for what it does `late_ms` later by itself."""
        killer = self._killer(running.application)
        if not killer:
            decision = yield from self._wait(running, why, late_ms, asks=asks)
            if decision == SAVE:
                yield from self._save(running, by="user")
            elif decision == DISCARD:
                self._system.facts.chain(
                    DocumentsDiscarded(application=running.application.name, documents=running.documents)
                )
                running.opened.clear()
            if decision == CANCEL:
                return CANCELLED
            if decision != CONTINUE:
                return AGREED
            killer = self.overrule = self.overrule or "user"
        self._gone(running, f"killed ({killer})")
        return KILLED

    def _wait(self, running: Running, why: str, late_ms: int | None, *, asks: bool) -> Steps[str]:
        """The full-screen wait: the user's decision, or "" when the application acted."""
        application, facts = running.application, self._system.facts
        if asks:
            facts.chain(SaveChangesAsked(application=application.name, documents=running.documents))
        shown = application.block_reason or f"{application.name} is preventing shutdown"
        facts.chain(self._blocked(application=application.name, why=why, shown=shown))
        answers = (CONTINUE, CANCEL, SAVE, DISCARD) if asks else (CONTINUE, CANCEL)
        limit_ns = None if late_ms is None else late_ms * NS_PER_MS
        decision = yield from self._system.prompts.ask(shown, answers, limit_ns=limit_ns, kind="blocked")
        by = self.overrule or f"user: {decision}"
        facts.chain(BlockedAnswered(by=by if decision else application.name))
        return decision

    def _killer(self, application: Application) -> str:
        """By what an unwilling application is ended without asking; empty if the user must be asked."""
        if self.overrule:
            return self.overrule
        if self._system.settings.AutoEndTasks:
            return "AutoEndTasks=1"
        if application.noretry:
            return "SHUTDOWN_NORETRY"
        return "" if application.window else "no window"

    def _hung(self, application: Application, message: str, setting: str, waited_ms: int) -> None:
        name = application.name
        self._system.facts.chain(
            ApplicationHung(application=name, message=message, setting=setting, waited_ms=waited_ms)
        )

    def _save(self, running: Running, *, by: str) -> Steps[None]:
        yield from self._system.writes.wait()
        saved = running.save()
        if saved:
            name = running.application.name
            self._system.facts.publish(DocumentsSaved(application=name, documents=saved, by=by))

    def _gone(self, running: Running, how: str) -> None:
        name, documents = running.application.name, running.documents
        if documents:
            self._system.facts.publish(DocumentsLost(application=name, documents=documents))
            running.opened.clear()
        self._system.facts.chain(ApplicationEnded(application=name, how=how))
