"""Local accounts: who exists, and the policy a new password has to meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.facts import Fact
from qmpemu.guests.agent.host import HostError
from qmpemu.guests.windows import winerror

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows

BUILT_IN = ("Administrator", "DefaultAccount", "Guest", "WDAGUtilityAccount")
KINDS_MIN, LENGTH_MIN = 3, 6
"""PasswordComplexity: three of the four kinds of characters, at least six of them, and not the user's name."""


class PasswordChanged(Fact):
    """A user's password is another one now."""

    user: str


class Accounts:
    """The accounts of one Windows: built-in ones, DefaultUserName, and everybody who has logged on in this boot."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def names(self) -> list[str]:
        """Everybody, by name."""
        windows = self._windows
        users = (*BUILT_IN, windows.system.settings.DefaultUserName, *windows.sessions.users())
        return sorted({each.casefold(): each for each in users}.values(), key=str.casefold)

    def logged_on(self) -> list[tuple[str, int]]:
        """User names, and since when in nanoseconds since 1970."""
        return [(session.user, session.since_ns) for session in self._windows.sessions.sessions]

    def set_password(self, user: str, password: str) -> None:
        """NetUserSetInfo, level 1003. Raises HostError with Windows' text."""
        known = {each.casefold(): each for each in self.names()}
        if user.casefold() not in known:
            raise HostError(winerror.TEXTS[winerror.USER_NOT_FOUND])
        if self._windows.system.settings.PasswordComplexity and not _is_complex(user, password):
            raise HostError(winerror.TEXTS[winerror.PASSWORD_TOO_SHORT])
        self._windows.system.facts.publish(PasswordChanged(user=known[user.casefold()]))


def _is_complex(user: str, password: str) -> bool:
    kinds = (str.isupper, str.islower, str.isdigit, lambda c: not c.isalnum())
    present = sum(any(kind(character) for character in password) for kind in kinds)
    names_user = len(user) > 2 and user.casefold() in password.casefold()
    return present >= KINDS_MIN and len(password) >= LENGTH_MIN and not names_user
