"""What runs in a user's session: applications with their documents.

opened ──edit──> unsaved ──save──> saved          closed without saving: discarded; ended by force: lost
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.facts import Fact
from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows.disk import HeldProgram, HeldSession
from qmpemu.guests.windows.participants import YES, Application

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.guests.windows.participants import Response
    from qmpemu.guests.windows.system import System


class ApplicationStarted(Fact):
    """Somebody started a program in a session."""

    application: str
    user: str


class DocumentOpened(Fact):
    """A document was opened; nothing in it is unsaved."""

    application: str
    document: str


class DocumentEdited(Fact):
    """A document has changes that exist in memory only."""

    application: str
    document: str


class DocumentSaved(Fact):
    """A document's changes are in its file."""

    application: str
    document: str


class Running:
    """An application that runs in a session. opened: its documents, and whether each has unsaved changes.

    overrides: answers by point that win over the application's own, as when it hangs for once.
    """

    __slots__ = ("application", "opened", "overrides")

    def __init__(self, application: Application) -> None:
        self.application = application
        self.opened = dict.fromkeys(application.documents, True)
        self.overrides: dict[str, Response] = {}

    @property
    def documents(self) -> tuple[str, ...]:
        """Those with unsaved changes."""
        return tuple(name for name, unsaved in self.opened.items() if unsaved) if self.opened else ()

    def response(self, point: str, default: Response = YES) -> Response:
        """What it answers at `point`."""
        own = self.overrides.get(point)
        return self.application.response(point, default) if own is None else own

    def save(self) -> tuple[str, ...]:
        """Save everything; what was unsaved."""
        unsaved = self.documents
        self.opened = dict.fromkeys(self.opened, False)
        return unsaved


def program(system: System, session: Session | None, name: str) -> Running:
    """The application `name` of a session, started if it does not run. Raises GuestError without a session."""
    if session is None:
        raise GuestError(f"nobody is logged on, so '{name}' cannot run: log somebody on first")
    running = session.find(name)
    if running is None:
        running = session.start(Application(name=name))
        system.facts.chain(ApplicationStarted(application=name, user=session.user))
    return running


class Session:
    """One user's session. running: by name, in order of start. since_ns: time of log-on, since 1970.

    locked: the user must enter the password again before anything can be done in it.
    """

    __slots__ = ("locked", "running", "since_ns", "user")

    def __init__(self, user: str, since_ns: int, applications: Iterable[Application]) -> None:
        self.user = user
        self.since_ns = since_ns
        self.locked = False
        self.running = {application.name: Running(application) for application in applications}

    def start(self, application: Application) -> Running:
        """Start one more program."""
        running = self.running[application.name] = Running(application)
        return running

    def hold(self, installed: tuple[Application, ...]) -> HeldSession:
        """What hiberfil.sys keeps of it; what damages this Windows comes back by itself (`Windows.infect`)."""
        known = {application.name: application for application in installed}
        programs = {
            name: HeldProgram(dict(running.opened), dict(running.overrides))
            for name, running in self.running.items()
            if running.application == known.get(name, Application(name=name))
        }
        return HeldSession(self.locked, programs)

    def restore(self, held: HeldSession) -> None:
        """Run what `held` says, as it ran, and nothing else."""
        known = {name: running.application for name, running in self.running.items()}
        self.locked = held.locked
        self.running = {}
        for name, program in held.programs.items():
            running = self.start(known.get(name, Application(name=name)))
            running.opened, running.overrides = dict(program.documents), dict(program.answers)

    def find(self, name: str) -> Running | None:
        """A running application by its name in any spelling."""
        key = name.casefold()
        return next((r for known, r in self.running.items() if known.casefold() == key), None)

    def holder(self, document: str) -> Running | None:
        """The application that has the document open."""
        return next((r for r in self.running.values() if document in r.opened), None)
