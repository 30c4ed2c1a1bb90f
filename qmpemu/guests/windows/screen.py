"""What the simulated Windows shows, made from its state when somebody looks.

    firmware ─ boot loader ─ repair | chkdsk | update ─ log-on ─ desktop | lock ─ prompt ─ update ─ shutting down ─ off
                                      bugcheck ─ dark (display off) ─ asleep

Words are Windows' own where a source gives them (facts: windows-acpi 9); the rest says the same in other words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.console import TEXT_MODE, Element, Screen
from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.guests import firmware
from qmpemu.guests.windows import screen_desktop as desktop
from qmpemu.guests.windows import system as life
from qmpemu.guests.windows.clock_face import date_text, time_text
from qmpemu.guests.windows.screen_input import SIZE
from qmpemu.guests.windows.serial import BOOTING
from qmpemu.guests.windows.shutdown import REBOOT

if TYPE_CHECKING:
    from qmpemu.guests.windows.screen_input import ConsoleUser
    from qmpemu.guests.windows.windows import Windows

WIDTH, HEIGHT = SIZE
SPINNER_STEP_NS = 150 * NS_PER_MS
SPINNER_STEPS = 8
LOGON, BUGCHECK, FULL = "#10384f", "#0078d7", "#003e73"
PASSWORD_DOT = "*"


def show(windows: Windows, user: ConsoleUser) -> Screen:
    """The screen as it is now."""
    phase = windows.system.phase
    if phase in (life.RUNNING, life.STOPPING, life.FALLING_ASLEEP, life.HUNG):
        screen = _lit(windows, user) if windows.display.lit else Screen("dark", SIZE)
        if screen.kind != "dark":
            screen.pointer = user.seat
        return screen
    maker = BY_PHASE.get(phase)
    return maker(windows) if maker is not None else Screen(phase, TEXT_MODE)


def _lit(windows: Windows, user: ConsoleUser) -> Screen:
    """While Windows runs or ends, with the display on."""
    if user.prompt is not None:
        return desktop.prompt(windows, user.prompt, user)
    if windows.system.phase == life.STOPPING and not windows.sessions.sessions:
        return _ending(windows)
    if windows.sessions.logging_off:
        return _message(windows, "signing out", "Signing out")
    if windows.sessions.arriving:
        return _message(windows, "welcome", f"Welcome, {windows.sessions.arriving}", LOGON)
    active = windows.sessions.active
    if active is None or active.locked:
        return _logon(windows, user, active.user if active is not None else "")
    if windows.system.phase == life.STOPPING:
        return _ending(windows)
    return desktop.show(windows, user)


# --- starting -------------------------------------------------------------------------------------------------


def _firmware(windows: Windows) -> Screen:
    return firmware.screen(BOOTING)


NOT_ACPI = (
    "Windows failed to start. A recent hardware or software change might be the cause.",
    "Windows failed to load because the firmware (BIOS) is not ACPI compatible.",
)
"""What the loader says without ACPI tables (U)."""


def _loader(windows: Windows) -> Screen:
    if not windows.system.platform.acpi.described:
        return Screen("boot error", SIZE, _lines("message", NOT_ACPI, 200))
    if windows.recovery.doing == "repair":
        return _boot(windows, "startup repair", "Preparing Automatic Repair", "Diagnosing your PC")
    return _boot(windows, "boot loader")


def _kernel(windows: Windows) -> Screen:
    doing, _, volume = windows.recovery.doing.partition(" ")
    if doing == "check":
        took_ns = windows.system.settings.chkdsk_ms * NS_PER_MS
        done = _percent(windows, windows.recovery.since_ns, took_ns)
        return _boot(windows, "chkdsk", f"Scanning and repairing drive ({volume}): {done}% complete")
    return _boot(windows, "resuming" if windows.recovery.resumes else "boot loader", *_resuming(windows))


def _resuming(windows: Windows) -> tuple[str, ...]:
    return ("Resuming Windows",) if windows.recovery.resumes else ()


def _services(windows: Windows) -> Screen:
    if windows.update.screen:
        return _message(windows, "update", windows.update.screen)
    return _message(windows, "please wait", "Please wait")


def _boot(windows: Windows, kind: str, *lines: str) -> Screen:
    """Logo, spinner and maybe what takes so long."""
    logo = Element("logo", "", (WIDTH // 2 - 72, 220, 144, 144), "logo")
    texts = _lines("message", lines, 620)
    return Screen(kind, SIZE, (logo, _spinner(windows, 540), *texts))


# --- log-on ---------------------------------------------------------------------------------------------------


def _logon(windows: Windows, user: ConsoleUser, locked: str) -> Screen:
    """The log-on screen, or the lock screen of `locked`."""
    kind = "lock" if locked else "log-on"
    if user.credentials:
        return _password(windows, user, kind, locked or windows.system.settings.DefaultUserName)
    now_ns = windows.system.now_ns
    made = [
        Element("clock", time_text(now_ns), (80, 480, 700, 120), "clock"),
        Element("date", date_text(now_ns), (86, 604, 700, 44), "heading"),
    ]
    if windows.installation.edition.kind == "server":
        made.append(_line("hint", "Press Ctrl+Alt+Delete to unlock.", 330))
    if locked:
        made.append(Element("user", f"{locked}: locked", (86, 660, 700, 36), "text"))
    return Screen(kind, SIZE, tuple(made), background=LOGON)


def _password(windows: Windows, user: ConsoleUser, kind: str, name: str) -> Screen:
    left, width = WIDTH // 2 - 180, 360
    typed = PASSWORD_DOT * len(user.typed)
    made = (
        Element("avatar", name[:1].upper(), (WIDTH // 2 - 70, 200, 140, 140), "avatar"),
        Element("user", name, (left, 356, width, 44), "heading centred"),
        Element("field:password", typed or "Password", (left, 420, width - 48, 40), "field", focused=True),
        Element("logon:submit", ">", (left + width - 44, 420, 44, 40), "button"),
    )
    return Screen(kind, SIZE, made, background=LOGON)


# --- ending ---------------------------------------------------------------------------------------------------


def _ending(windows: Windows) -> Screen:
    if windows.update.screen:
        return _message(windows, "update", windows.update.screen)
    text = "Restarting" if windows.shutdown.goal == REBOOT else "Shutting down"
    return _message(windows, "shutting down", text)


def _halted(windows: Windows) -> Screen:
    text = "It is now safe to turn off your computer."
    return Screen("halted", SIZE, (_line("message", text, HEIGHT // 2),))


def _bugcheck(windows: Windows) -> Screen:
    name, since_ns = windows.crash or ("", 0)
    done = _percent(windows, since_ns, windows.system.settings.crash_dump_ms * NS_PER_MS, 100)
    after = "we'll restart it for you" if windows.system.settings.AutoReboot else "you can restart it"
    lines = (
        ("message", "Your device ran into a problem."),
        ("advice", f"We're collecting some error info, and then {after}."),
        ("progress", f"{done}% complete"),
        ("stop code", f"Stop code: {name}"),
    )
    made = [Element("face", ":(", (120, 120, 300, 160), "clock")]
    made += [
        Element(place, text, (120, 320 + 70 * row, 1040, 48), "heading")
        for row, (place, text) in enumerate(lines)
    ]
    return Screen("bugcheck", SIZE, tuple(made), background=BUGCHECK)


# --- parts ----------------------------------------------------------------------------------------------------


def _message(windows: Windows, kind: str, text: str, background: str = FULL) -> Screen:
    """A full screen with a spinner and a line of text."""
    made = (_spinner(windows, HEIGHT // 2 - 90), _line("message", text, HEIGHT // 2))
    return Screen(kind, SIZE, made, background=background)


def _line(place: str, text: str, top: int) -> Element:
    return Element(place, text, (40, top, WIDTH - 80, 48), "heading centred")


def _lines(place: str, texts: tuple[str, ...], top: int) -> tuple[Element, ...]:
    return tuple(_line(f"{place}:{row}", text, top + 50 * row) for row, text in enumerate(texts))


def _spinner(windows: Windows, top: int) -> Element:
    turn = windows.system.platform.clock.now_ns // SPINNER_STEP_NS % SPINNER_STEPS
    return Element("spinner", "", (WIDTH // 2 - 30, top, 60, 60), "spinner", value=turn)


def _percent(windows: Windows, since_ns: int, whole_ns: int, most: int = 99) -> int:
    """How far something is that began then and takes so long."""
    gone_ns = windows.system.platform.clock.now_ns - since_ns
    return min(most, gone_ns * 100 // max(whole_ns, NS_PER_S // 1000))


BY_PHASE = {
    life.FIRMWARE: _firmware,
    life.LOADER: _loader,
    life.KERNEL: _kernel,
    life.SERVICES: _services,
    life.HALTED: _halted,
    life.CRASHED: _bugcheck,
}
"""Other phases show nothing: off, asleep, hibernated, waking, restarting."""
