"""Malware: a process that refuses to end, and is started again by its watchdog when it is killed.

    veto ──nobody overrules──> the full-screen wait
      └─AutoEndTasks, forced switch, EWX_FORCE, the user──> killed ──> started again ──> veto ...

With nobody logged on it runs in a session of its own that no list shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.guests.activity import Gate
from qmpemu.guests.windows.faults.registry import FaultActed, fault
from qmpemu.guests.windows.participants import END_SESSION, HANG, NO, QUERY_END_SESSION, Application
from qmpemu.guests.windows.running import ApplicationStarted, Session

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.running import Running
    from qmpemu.guests.windows.windows import Windows

NAME = "respawn_veto"
PROCESS = Application(name="svch0st.exe", responses={QUERY_END_SESSION: NO, END_SESSION: HANG})

RESPAWN_MS = 500
"""From its end to its next start."""

ROUNDS_TOLD = 5
"""After this many rounds nothing new can happen, so no more of them are played."""


class Watchdog:
    """What starts the process again."""

    __slots__ = ("_rounds", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._rounds = 0

    def settle(self) -> None:
        """Run in every session, or in a hidden one if there is none."""
        sessions, system = self._windows.sessions, self._windows.system
        if not sessions.sessions and not sessions.hidden:
            sessions.hidden.append(Session("SYSTEM", system.now_ns, ()))
        for session in (*sessions.sessions, *sessions.hidden):
            if PROCESS.name not in session.running:
                session.start(PROCESS)
                system.facts.chain(ApplicationStarted(application=PROCESS.name, user=session.user))

    def take_part(self) -> Steps[bool]:
        """A shutdown begins: see that the process is there to refuse."""
        self._rounds = 0
        self.settle()
        yield 0
        return True

    def respawn(self, session: Session, ended: Running) -> Steps[None]:
        """The process was killed: start it again; in the end, leave Windows waiting for it for ever."""
        if ended.application is not PROCESS:
            return
        yield RESPAWN_MS * NS_PER_MS
        self._rounds += 1
        session.start(PROCESS)
        self._windows.system.facts.chain(FaultActed(fault=NAME, cause="C7", effect="started itself again"))
        if self._rounds == ROUNDS_TOLD:
            self._windows.system.facts.chain(FaultActed(fault=NAME, cause="C7", effect="never ends"))
            yield Gate()


@fault(NAME, cause="C7", claim="stalled", default=PROCESS.name)
def respawn_veto(windows: Windows, target: str) -> None:
    """A process refuses to end, and starts again each time somebody or some setting kills it."""
    watchdog = Watchdog(windows)
    windows.system.hooks.shutdown.append(watchdog.take_part)
    windows.system.hooks.application_ended.append(watchdog.respawn)
    if windows.sessions.sessions:
        watchdog.settle()
