"""The desktop and what lies over it: programs with their documents, the security and shutdown menus, prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.console import Element, Screen
from qmpemu.core.clock import NS_PER_S
from qmpemu.guests.windows.clock_face import date_text, time_text
from qmpemu.guests.windows.participants import QUERY_END_SESSION
from qmpemu.guests.windows.screen_input import SHUTDOWN_MENU, SIZE
from qmpemu.guests.windows.shutdown import REBOOT

if TYPE_CHECKING:
    from qmpemu.guests.windows.prompts import Prompt
    from qmpemu.guests.windows.running import Running
    from qmpemu.guests.windows.screen_input import ConsoleUser
    from qmpemu.guests.windows.windows import Windows

WIDTH, HEIGHT = SIZE
DESKTOP, BLOCKED, SECURE = "#0a5a8c", "#003e73", "#0b2942"
TASKBAR_HEIGHT = 40
TASKS_MAX = 7
WINDOWS_MAX = 6
LINES_MAX = 8
SHELL = "explorer.exe"

LABELS = {"continue": "Shut down anyway", "cancel": "Cancel", "save": "Save", "discard": "Don't save"}
"""What stands on the button of an answer."""


def show(windows: Windows, user: ConsoleUser) -> Screen:
    """The desktop of the session that has the console, with a menu over it where one is open."""
    if user.menu and user.menu is not SHUTDOWN_MENU:
        return Screen("security options", SIZE, tuple(_menu(user, 300)), background=SECURE)
    active = windows.sessions.active
    running = list(active.running.values()) if active is not None else []
    made = [*_windows(running), *_taskbar(windows, running), *_announced(windows)]
    if user.menu:
        frame = Element("dialog", "Shut Down Windows", (420, 200, 440, 360), "window")
        made += [frame, *_menu(user, 260)]
    return Screen("desktop", SIZE, tuple(made), background=DESKTOP)


def _taskbar(windows: Windows, running: list[Running]) -> list[Element]:
    top = HEIGHT - TASKBAR_HEIGHT
    now_ns = windows.system.now_ns
    made = [
        Element("taskbar", "", (0, top, WIDTH, TASKBAR_HEIGHT), "bar"),
        Element("start", "Start", (0, top, 70, TASKBAR_HEIGHT), "task"),
        Element("clock", time_text(now_ns), (WIDTH - 110, top, 106, 20), "small"),
        Element("date", date_text(now_ns), (WIDTH - 250, top + 20, 246, 20), "small"),
    ]
    shown = [each for each in running if each.application.window and each.application.name != SHELL]
    for number, each in enumerate(shown[:TASKS_MAX]):
        box = (74 + number * 136, top + 2, 132, TASKBAR_HEIGHT - 4)
        made.append(Element(f"task:{each.application.name}", each.application.name, box, "task"))
    if len(shown) > TASKS_MAX:
        made.append(Element("tasks", f"+{len(shown) - TASKS_MAX}", (1026, top, 40, TASKBAR_HEIGHT), "small"))
    return made


def _windows(running: list[Running]) -> list[Element]:
    """Programs with documents, each as a window; unsaved ones have a `*` in front."""
    made: list[Element] = []
    for number, each in enumerate([each for each in running if each.opened][-WINDOWS_MAX:]):
        left, top = 80 + 70 * number, 50 + 60 * number
        name = each.application.name
        hangs = each.response(QUERY_END_SESSION).answer == "hang"
        names = [f"*{document}" if unsaved else document for document, unsaved in each.opened.items()]
        title = f"{names[-1]} - {name}" + (" (Not Responding)" if hangs else "")
        made.append(Element(f"window:{name}", title, (left, top, 620, 380), "window"))
        lines = names[-LINES_MAX:]
        made += [
            Element(f"document:{line.lstrip('*')}", line, (left + 20, top + 50 + 36 * row, 580, 32), "dark")
            for row, line in enumerate(lines)
        ]
    return made


def _announced(windows: Windows) -> list[Element]:
    """A shutdown that `shutdown.exe` has announced."""
    announced = windows.initiated.announced
    if announced is None:
        return []
    goal, due_ns, comment = announced
    left_s = max(0, -(-(due_ns - windows.system.platform.clock.now_ns) // NS_PER_S))
    what = "restart" if goal == REBOOT else "shut down"
    when = f"{-(-left_s // 60)} minutes" if left_s > 60 else f"{left_s} seconds"
    box = (340, 280, 600, 160)
    made = [
        Element("announcement", "You're about to be signed out", box, "window"),
        Element("announced", f"Windows will {what} in {when}.", (360, 330, 560, 36), "dark"),
    ]
    if comment:
        made.append(Element("comment", comment, (360, 372, 560, 36), "dark"))
    return made


def _menu(user: ConsoleUser, top: int) -> list[Element]:
    return [
        Element(
            f"menu:{name}",
            label,
            (WIDTH // 2 - 150, top + 64 * row, 300, 52),
            "button",
            focused=row == user.choice,
        )
        for row, (name, label) in enumerate(user.menu)
    ]


# --- prompts --------------------------------------------------------------------------------------------------


def prompt(windows: Windows, asked: Prompt, user: ConsoleUser) -> Screen:
    """What Windows asks and waits for."""
    if asked.kind == "blocked":
        return _blocked(windows, asked, user)
    return _dialog(asked, user)


def _blocked(windows: Windows, asked: Prompt, user: ConsoleUser) -> Screen:
    """The full-screen wait for applications."""
    logging_off = bool(windows.sessions.logging_off) and not windows.shutdown.in_progress
    restarts = windows.shutdown.goal == REBOOT
    what = "signing out" if logging_off else "restarting" if restarts else "shutting down"
    anyway = "Sign out anyway" if logging_off else "Restart anyway" if restarts else LABELS["continue"]
    made = [
        Element("title", f"Closing apps and {what}", (140, 180, 1000, 56), "heading"),
        Element("app", asked.text, (140, 270, 1000, 40), "text"),
        Element("reason", f"This app is preventing {_noun(what)}.", (140, 312, 1000, 36), "text"),
    ]
    for number, answer in enumerate(asked.answers):
        label = anyway if answer == "continue" else LABELS.get(answer, answer)
        box = (140 + 250 * number, 420, 230, 52)
        made.append(Element(f"answer:{answer}", label, box, "button", focused=number == user.choice))
    return Screen("blocked", SIZE, tuple(made), background=BLOCKED)


def _noun(what: str) -> str:
    return {"signing out": "sign-out", "restarting": "restart"}.get(what, "shutdown")


def _dialog(asked: Prompt, user: ConsoleUser) -> Screen:
    """A window with what can be answered, a field for other words, OK and, where it is offered, Cancel."""
    options = [answer for answer in asked.answers if answer != "cancel"]
    left, top, width = 290, 180, 700
    field = top + 84 + 44 * len(options)
    made = [
        Element("dialog", asked.text, (left, top, width, 200 + 44 * len(options)), "window"),
        *(
            Element(
                f"option:{number}",
                option,
                (left + 24, top + 56 + 44 * number, width - 48, 40),
                "option",
                focused=number == user.choice,
            )
            for number, option in enumerate(options)
        ),
    ]
    if asked.free:
        made.append(Element("field:comment", user.typed, (left + 24, field, width - 48, 40), "field"))
    made.append(Element("answer:ok", "OK", (left + width - 280, field + 56, 120, 44), "button"))
    if "cancel" in asked.answers:
        focused = asked.answers[user.choice] == "cancel"
        box = (left + width - 144, field + 56, 120, 44)
        made.append(Element("answer:cancel", "Cancel", box, "button", focused=focused))
    return Screen(asked.kind, SIZE, tuple(made), background=DESKTOP)
