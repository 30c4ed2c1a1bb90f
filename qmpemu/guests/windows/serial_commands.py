"""What can be said at `SAC>`, and the command prompt behind a channel.

restart, shutdown, crashdump ──> the door of `shutdown`, the crash screen          cmd ──> log-on ──> C:\\...> shutdown
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows import shutdown_exe, winerror
from qmpemu.guests.windows.clock_face import date_text, time_text
from qmpemu.guests.windows.serial import CHANNELS_MAX
from qmpemu.guests.windows.shutdown import POWER_OFF, REBOOT, SAC

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.windows.serial import SerialConsole
    from qmpemu.guests.windows.windows import Windows

    Command = Callable[[Windows, SerialConsole, list[str]], str]

MANUALLY_INITIATED_CRASH = 0xE2
"""Bug Check 0xE2: the crash was asked for from the keyboard or a debugger."""

DIRECTORY = "C:\\Windows\\system32>"
LINES_MAX = 200
"""Lines that one command shows; a terminal scrolls the rest away."""


def run(windows: Windows, console: SerialConsole, line: str) -> str:
    """Carry out one line; what is shown."""
    words = line.split()
    if not words:
        return ""
    command = COMMANDS.get(words[0].casefold())
    if command is None:
        return "Unknown command. Use the ? command for help.\n"
    return command(windows, console, words[1:])


def _help(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    return "".join(f"{name:<10} {(call.__doc__ or '').strip()}\n" for name, call in COMMANDS.items())


def _channel(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """List the channels, or go to one: ch -si NUMBER, ch -sn NAME, ch -ci NUMBER closes it"""
    names = ["SAC", *console.channels]
    if not words:
        return "Channel  Name\n" + "".join(f"{number:<8} {name}\n" for number, name in enumerate(names))
    option, given = words[0].casefold(), words[1] if len(words) > 1 else ""
    if option in ("-si", "-ci") and given.isdecimal() and int(given) < len(names):
        given = names[int(given)]
    elif option != "-sn" or given not in names:
        return "There is no such channel.\n"
    if option == "-ci":
        if console.channels.pop(given, None) is None:
            return "This channel cannot be closed.\n"
        return "The channel was closed.\n"
    console.switch("" if given == "SAC" else given)
    return ""


def _cmd(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Make a channel with a command prompt"""
    if not windows.shutdown.booted.is_open:
        return "The command prompt is not available yet.\n"
    if len(console.channels) >= CHANNELS_MAX - 1:
        return "There are too many channels.\n"
    number = 1 + max((int(name[3:]) for name in console.channels), default=0)
    name = f"Cmd{number:04}"
    console.channels[name] = CommandPrompt(windows, console, name)
    return f"The Command Prompt session was successfully launched.\nEVENT: A new channel has been created: {name}\n"


def _crashdump(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Crash the system: it writes a memory dump"""
    windows.bugcheck(MANUALLY_INITIATED_CRASH, "MANUALLY_INITIATED_CRASH")
    return ""


def _dump_log(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Show the log"""
    records = list(windows.log.records)[-LINES_MAX:]
    return "".join(f"{time_text(each.time_ns)}  {each.source} {each.id}: {each.text}\n" for each in records)


def _identify(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Tell which computer this is"""
    edition, up_s = windows.installation.edition, windows.system.platform.clock.now_ns // 10**9
    return (
        f"Computer Name: {windows.system.computer}\nProduct: {edition.product}\nBuild: {edition.build}\n"
        f"Up for: {up_s // 3600}:{up_s // 60 % 60:02}:{up_s % 60:02}\n"
    )


def _restart(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Restart the system at once; programs are not asked"""
    return _end(windows, REBOOT)


def _time(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Show the date and the time"""
    now_ns = windows.system.now_ns
    return f"{date_text(now_ns)}, {time_text(now_ns)}\n"


def _shutdown(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """Shut the system down at once; programs are not asked"""
    return _end(windows, POWER_OFF)


def _tasks(windows: Windows, console: SerialConsole, words: list[str]) -> str:
    """List programs and services"""
    names = [each.name for each in windows.sessions.applications()]
    names += [f"{service.name} (service)" for service in windows.installation.services]
    return "".join(f"{name}\n" for name in names[:LINES_MAX])


def _end(windows: Windows, goal: str) -> str:
    code = windows.request_shutdown(SAC, goal, force=True)
    return f"{winerror.TEXTS[code]}({code})\n" if code else ""


COMMANDS: dict[str, Command] = {
    "?": _help,
    "ch": _channel,
    "cmd": _cmd,
    "crashdump": _crashdump,
    "d": _dump_log,
    "id": _identify,
    "restart": _restart,
    "s": _time,
    "shutdown": _shutdown,
    "t": _tasks,
}


class CommandPrompt:
    """A channel: who comes has to log on, then types commands. Any password is right, as at the screen."""

    __slots__ = ("_console", "_name", "_user", "_windows", "logged_on", "prompt")

    def __init__(self, windows: Windows, console: SerialConsole, name: str) -> None:
        self._windows = windows
        self._console = console
        self._name = name
        self._user = ""
        self.logged_on = False
        self.prompt = "Username: "

    @property
    def hides_input(self) -> bool:
        """Whether a password is being typed."""
        return self.prompt == "Password: "

    def enter(self, line: str) -> str:
        """One line; what is shown."""
        if not self.logged_on:
            self._log_on(line)
            return ""
        word, _, rest = line.partition(" ")
        command = word.casefold().removesuffix(".exe")
        if command == "shutdown":
            return self._shutdown(rest)
        if command == "exit":
            self._console.channels.pop(self._name, None)
            self._console.switch("")
            return ""
        shown = {"hostname": self._windows.system.computer, "whoami": self._user, "": None}.get(command, word)
        if shown is None:
            return ""
        if command in ("hostname", "whoami"):
            return f"{shown}\n"
        return f"'{word}' is not recognized as an internal or external command.\n"

    def _log_on(self, line: str) -> None:
        if self.prompt == "Username: ":
            if line:
                self._user, self.prompt = line, "Domain: "
        elif self.prompt == "Domain: ":
            self.prompt = "Password: "
        else:
            self.logged_on, self.prompt = True, DIRECTORY

    def _shutdown(self, arguments: str) -> str:
        windows = self._windows
        try:
            order = shutdown_exe.parse(arguments)
        except GuestError as error:
            return f"{error}\n"
        if order.what == "a":
            code = windows.initiated.abort()
        elif order.what in ("l", "h"):
            return "This cannot be done from here.\n"
        else:
            code = windows.initiated.initiate(
                REBOOT if order.what == "r" else POWER_OFF,
                order.timeout_s,
                force=order.force,
                reason=order.reason,
                comment=order.comment,
                hybrid=order.hybrid,
            )
        return f"{winerror.TEXTS[code]}({code})\n" if code else ""
