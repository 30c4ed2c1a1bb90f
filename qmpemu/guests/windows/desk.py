"""Working with documents in a session: which program opens them, and when their changes are in their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.registry import GuestError, nearest
from qmpemu.guests.windows.participants import QUERY_END_SESSION
from qmpemu.guests.windows.running import DocumentEdited, DocumentOpened, DocumentSaved, program

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.running import Running, Session
    from qmpemu.guests.windows.system import System

EDITORS = {
    ".doc": "WINWORD.EXE",
    ".docx": "WINWORD.EXE",
    ".pptx": "POWERPNT.EXE",
    ".rtf": "wordpad.exe",
    ".xlsx": "EXCEL.EXE",
}
"""Programs by the document's ending; everything else opens in notepad."""

EDITOR = "notepad.exe"


def open_document(system: System, session: Session, name: str) -> None:
    """Open a document that is not open. Raises GuestError."""
    holder = session.holder(name)
    if holder is not None:
        raise GuestError(f"'{name}' is open already, in {holder.application.name}")
    _open(system, session, name)


def edit_document(system: System, session: Session, name: str) -> None:
    """Change a document, which is opened if it is not. Raises GuestError."""
    holder = _responsive(session.holder(name) or _open(system, session, name))
    if not holder.opened[name]:
        holder.opened[name] = True
        system.facts.chain(DocumentEdited(application=holder.application.name, document=name))


def save_document(system: System, session: Session, name: str) -> None:
    """Save an open document; one without changes stays as it is. Raises GuestError."""
    holder = session.holder(name)
    if holder is None:
        known = [each for running in session.running.values() for each in running.opened]
        hint = nearest(name, known) if known else "no document is open"
        raise GuestError(f"'{name}' is not open: {hint}")
    if _responsive(holder).opened[name]:
        system.activities.start(_save(system, holder, name))


def _save(system: System, holder: Running, name: str) -> Steps[None]:
    """Write it, which waits while writes are held; what is closed or saved meanwhile is not written."""
    yield from system.writes.wait()
    if holder.opened.get(name):
        holder.opened[name] = False
        system.facts.chain(DocumentSaved(application=holder.application.name, document=name))


def _open(system: System, session: Session, name: str) -> Running:
    ending = "." + name.rpartition(".")[2].casefold()
    running = _responsive(program(system, session, EDITORS.get(ending, EDITOR)))
    running.opened[name] = False
    system.facts.chain(DocumentOpened(application=running.application.name, document=name))
    return running


def _responsive(running: Running) -> Running:
    if running.response(QUERY_END_SESSION).answer == "hang":
        raise GuestError(f"{running.application.name} does not respond")
    return running
