"""What Windows asks whoever sits at the console, and waits for: full-screen waits, dialogs.

decision = yield from system.prompts.ask("x.exe is preventing shutdown", ("continue", "cancel"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.activity import Gate

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps


class Prompt:
    """One question. answers: what is offered, the default first; free: any other text is an answer too.

    kind: how it is shown (`screen`): "blocked" full-screen, "tracker" and "dialog" as windows.
    user: in whose session it is shown and with whose session it goes; empty for one that belongs to none.
    """

    __slots__ = ("_gate", "answers", "free", "kind", "text", "user")

    def __init__(
        self, text: str, answers: tuple[str, ...], *, free: bool = False, user: str = "", kind: str = "dialog"
    ) -> None:
        self.text = text
        self.answers = answers
        self.free = free
        self.user = user
        self.kind = kind
        self._gate = Gate()

    def takes(self, answer: str) -> bool:
        """Whether that is an answer."""
        return self.free or answer in self.answers

    def answer(self, given: str) -> None:
        """Somebody answers."""
        self._gate.open(given)

    def wait(self, limit_ns: int | None) -> Steps[str]:
        """Wait for the answer; "" when the limit ran out, or it was dismissed."""
        given = yield self._gate if limit_ns is None else self._gate.within(limit_ns)
        return str(given or "")


class Prompts:
    """What is shown now; the latest is in front."""

    __slots__ = ("shown",)

    def __init__(self) -> None:
        self.shown: list[Prompt] = []

    @property
    def front(self) -> Prompt | None:
        """The one that takes an answer now."""
        return self.shown[-1] if self.shown else None

    def dismiss(self, user: str) -> None:
        """A user's questions go away unanswered."""
        for prompt in self.shown:
            if prompt.user == user:
                prompt.answer("")

    def ask(
        self,
        text: str,
        answers: tuple[str, ...],
        *,
        limit_ns: int | None = None,
        free: bool = False,
        user: str = "",
        kind: str = "dialog",
    ) -> Steps[str]:
        """Show a question until it is answered: the answer, or "" after `limit_ns` and when it is dismissed."""
        prompt = Prompt(text, answers, free=free, user=user, kind=kind)
        self.shown.append(prompt)
        given = yield from prompt.wait(limit_ns)
        self.shown.remove(prompt)
        return given
