"""Whoever sits at the screen: keys and pointer become what the operator does, through the operator's own acts.

    key, pointer ──> dark display? only light it ──> prompt ──> log-on or lock screen ──> menu ──> desktop
                                                       └ answer_prompt   └ log_on, unlock  └ lock, shutdown_exe ...

A key that means nothing where it is pressed does nothing. State of this file is what a person has typed and chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.windows import system as life
from qmpemu.guests.windows.screen_keys import MODIFIERS, printed

if TYPE_CHECKING:
    from qmpemu.console import Screen
    from qmpemu.guests.windows.prompts import Prompt
    from qmpemu.guests.windows.running import Running
    from qmpemu.guests.windows.windows import Windows

SIZE = (1280, 800)
"""What Windows' basic display driver shows here, whatever the video device."""

TYPED_MAX = 127
"""Characters of a password or a comment; Windows takes no longer password."""

ENTER = frozenset({"ret", "kp_enter"})
FORWARD = frozenset({"tab", "down", "right"})
BACKWARD = frozenset({"up", "left"})

SECURITY_MENU = (("lock", "Lock"), ("sign out", "Sign out"), ("close", "Cancel"))
SHUTDOWN_MENU = (
    ("shut down", "Shut down"),
    ("restart", "Restart"),
    ("sign out", "Sign out"),
    ("close", "Cancel"),
)
MENU_ACTS = {
    "lock": ("lock", ""),
    "sign out": ("log_off", ""),
    "shut down": ("shutdown_exe", "/s /t 0"),
    "restart": ("shutdown_exe", "/r /t 0"),
}
"""What an entry of a menu makes the operator do."""


class ConsoleUser:
    """Keyboard, pointer and screen of one booted Windows (`console.Sitter`).

    menu: the open menu's entries, or nothing. choice: which entry or answer has the focus. typed: what has been typed
    into the field that is shown. credentials: the log-on screen asks for a password. seat: where the pointer is.
    """

    __slots__ = ("_held", "_windows", "choice", "credentials", "menu", "prompt", "seat", "typed")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._held: set[str] = set()
        self.menu: tuple[tuple[str, str], ...] = ()
        self.choice = 0
        self.typed = ""
        self.credentials = False
        self.prompt: Prompt | None = None
        self.seat = (SIZE[0] // 2, SIZE[1] // 2)

    # --- what the console asks --------------------------------------------------------------------------------

    def show(self) -> Screen:
        """What is on the screen."""
        from qmpemu.guests.windows import screen

        self._look()
        return screen.show(self._windows, self)

    def drives_tablet(self) -> bool:
        """From the kernel's drivers on."""
        return self._windows.system.phase in life.HAS_DRIVERS

    def key(self, qcode: str, down: bool) -> None:
        """A key went down or up."""
        if qcode in MODIFIERS:
            (self._held.add if down else self._held.discard)(MODIFIERS[qcode])
        if not down or not self._awake("key"):
            return
        if qcode == "delete" and {"ctrl", "alt"} <= self._held:
            self._attention()
        elif self.prompt is not None:
            self._prompt_key(self.prompt, qcode)
        elif self._at_logon():
            self._logon_key(qcode)
        elif self.menu:
            self._menu_key(qcode)
        else:
            self._desktop_key(qcode)

    def pointer(self, kind: str, name: str, value: int) -> None:
        """The mouse moved, or a button of it changed."""
        if kind == "btn":
            if value and name == "left" and self._awake("mouse"):
                self._click()
            return
        axis = 0 if name == "x" else 1
        seat = list(self.seat)
        seat[axis] = value * SIZE[axis] // 0x8000 if kind == "abs" else seat[axis] + value
        seat[axis] = min(max(seat[axis], 0), SIZE[axis] - 1)
        if tuple(seat) != self.seat:
            self.seat = (seat[0], seat[1])
            self._awake("mouse")

    # --- where an event goes ----------------------------------------------------------------------------------

    def _awake(self, why: str) -> bool:
        """Whether Windows takes input now; what lights a dark display does nothing else."""
        self._look()
        windows = self._windows
        return windows.system.phase in (life.RUNNING, life.STOPPING) and not windows.display.touch(why)

    def _look(self) -> None:
        """Another question in front: what was typed and chosen for the one before is gone."""
        front = self._windows.system.prompts.front
        if front is not None and front.kind != "blocked" and self._locked():
            front = None  # it is behind the lock screen
        if front is not self.prompt:
            self.prompt, self.choice, self.typed = front, 0, ""
            self.menu = () if front is not None else self.menu

    def _locked(self) -> bool:
        active = self._windows.sessions.active
        return active is not None and active.locked

    def _at_logon(self) -> bool:
        return self._windows.sessions.active is None or self._locked()

    def _attention(self) -> None:
        """Ctrl+Alt+Del."""
        if self._windows.system.phase != life.RUNNING or self.prompt is not None:
            return
        if self._at_logon():
            self.credentials, self.typed = True, ""
        else:
            self.menu, self.choice = SECURITY_MENU, 0

    def _click(self) -> None:
        """The left button went down."""
        found = self.show().at(*self.seat)
        kind, _, name = (found.place if found is not None else "screen").partition(":")
        if kind == "answer" and self.prompt is not None:
            self._answer(self.prompt, name)
        elif kind == "option":
            self.choice = int(name)
        elif kind == "menu":
            self._choose(name)
        elif self.prompt is None and self._at_logon():
            self._logon_click(kind, name)

    # --- prompts ----------------------------------------------------------------------------------------------

    def _prompt_key(self, prompt: Prompt, qcode: str) -> None:
        if qcode in ENTER or (qcode == "spc" and not self.typed):
            self._answer(prompt, "cancel" if self._at_cancel(prompt) else "ok")
        elif qcode == "esc" and "cancel" in prompt.answers:
            self._answer(prompt, "cancel")
        elif qcode in FORWARD or qcode in BACKWARD:
            self._move(qcode, len(prompt.answers))
        elif prompt.free:
            self._type(qcode)

    def _answer(self, prompt: Prompt, answer: str) -> None:
        """`answer` is one of those offered, a comment, or `ok`: the one that is chosen."""
        if answer == "ok":
            answer = self.typed or prompt.answers[0 if self._at_cancel(prompt) else self.choice]
        self._do("answer_prompt", answer)

    def _at_cancel(self, prompt: Prompt) -> bool:
        """Whether Cancel has the focus: then Enter means that button, whatever has been typed."""
        return prompt.answers[self.choice] == "cancel"

    # --- log-on and lock screen -------------------------------------------------------------------------------

    def _logon_key(self, qcode: str) -> None:
        if self._windows.sessions.arriving or self._windows.system.phase != life.RUNNING:
            return
        if not self.credentials:
            self.credentials = self._windows.installation.edition.kind != "server"
            self.typed = ""
        elif qcode == "esc":
            self.credentials, self.typed = False, ""
        elif qcode in ENTER:
            self._log_on()
        else:
            self._type(qcode)

    def _logon_click(self, kind: str, name: str) -> None:
        if kind == "logon" and name == "submit":
            self._log_on()
        elif not self.credentials:
            self._logon_key("click")

    def _log_on(self) -> None:
        """Submit the password; the model keeps none, so that each is right."""
        self.credentials, self.typed = False, ""
        self._do(*(("unlock", "") if self._locked() else ("log_on", "")))

    # --- desktop ----------------------------------------------------------------------------------------------

    def _menu_key(self, qcode: str) -> None:
        if qcode in ENTER or qcode == "spc":
            self._choose(self.menu[self.choice][0])
        elif qcode == "esc":
            self.menu = ()
        elif qcode in FORWARD or qcode in BACKWARD:
            self._move(qcode, len(self.menu))

    def _choose(self, entry: str) -> None:
        self.menu, self.choice = (), 0
        if entry in MENU_ACTS:
            self._do(*MENU_ACTS[entry])

    def _desktop_key(self, qcode: str) -> None:
        if self._windows.system.phase != life.RUNNING:
            return
        document = self._document()
        if qcode == "l" and "meta" in self._held:
            self._do("lock")
        elif qcode == "f4" and "alt" in self._held:
            self.menu, self.choice = SHUTDOWN_MENU, 0
        elif document is None:
            return
        elif qcode == "s" and "ctrl" in self._held:
            self._do("save_document", document[1])
        elif printed(qcode, self._held) and not document[0].opened[document[1]]:
            self._do("edit_document", document[1])

    def _document(self) -> tuple[Running, str] | None:
        """The document in front: the last one opened of the program started last."""
        active = self._windows.sessions.active
        for running in reversed(active.running.values()) if active is not None else ():
            if running.opened:
                return running, next(reversed(running.opened))
        return None

    # --- helpers ----------------------------------------------------------------------------------------------

    def _move(self, qcode: str, count: int) -> None:
        step = -1 if qcode in BACKWARD or (qcode == "tab" and "shift" in self._held) else 1
        self.choice = (self.choice + step) % count

    def _type(self, qcode: str) -> None:
        if qcode == "backspace":
            self.typed = self.typed[:-1]
        else:
            self.typed = (self.typed + printed(qcode, self._held))[:TYPED_MAX]

    def _do(self, act: str, argument: str = "") -> None:
        """The operator's act; one that is not possible now is on the time line, and nothing happens."""
        from qmpemu.guests.windows import operator

        try:
            operator.Operator(self._windows).do(act, argument)
        except operator.OperatorError:
            return
