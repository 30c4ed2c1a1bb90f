"""Where something foreign can reach into a booted Windows. Empty in a healthy one; the files of `faults` hang in here.

interrupt ──button──> power policy ──> the one door ──shutdown──> sessions ──application_ended──> services ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.running import Running, Session


class Hooks:
    """The places, each a list of functions that are called in order of arrival.

    logged_on: `(session) -> None`, called when a user's session has begun.
    button: `() -> bool`, asked at each press that OSPM acknowledged; True swallows it.
    shutdown: `() -> Steps[bool]`, run when a shutdown has begun and before any session ends; False aborts it.
    application_ended: `(session, running) -> Steps[None]`, run when an application of an ending session is gone.
    """

    __slots__ = ("application_ended", "button", "logged_on", "shutdown")

    def __init__(self) -> None:
        self.logged_on: list[Callable[[Session], None]] = []
        self.button: list[Callable[[], bool]] = []
        self.shutdown: list[Callable[[], Steps[bool]]] = []
        self.application_ended: list[Callable[[Session, Running], Steps[None]]] = []

    def swallows_button(self) -> bool:
        """Whether anything takes this press away."""
        return any(call() for call in self.button)

    def let_shutdown(self) -> Steps[bool]:
        """Run what hangs at the start of a shutdown; False: it was aborted."""
        for call in self.shutdown:
            allowed = yield from call()
            if not allowed:
                return False
        return True
