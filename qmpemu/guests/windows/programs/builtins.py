"""Commands that cmd.exe has in itself, and the variables in its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.windows import winerror

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.windows.programs.registry import Process


def _echo(process: Process, rest: str) -> int:
    process.say(rest or "ECHO is on.")
    return 0


def _exit(process: Process, rest: str) -> int:
    number = rest.removeprefix("/b").removeprefix("/B").strip()
    return int(number) & 0xFFFF_FFFF if number.lstrip("-").isdecimal() and len(number) < 12 else 0


def _ver(process: Process, rest: str) -> int:
    process.say("", f"Microsoft Windows [Version 10.0.{process.windows.installation.edition.build}.1]")
    return 0


def _set(process: Process, rest: str) -> int:
    process.say(*(f"{name}={value}" for name, value in sorted(environment(process).items())))
    return 0


def _cd(process: Process, rest: str) -> int:
    process.say("C:\\Windows\\system32")
    return 0


def _type(process: Process, rest: str) -> int:
    try:
        content = process.windows.files.find(rest.strip('" '))
    except HostError as error:
        process.complain(str(error))
        return 1
    if content is None:
        process.complain(winerror.TEXTS[winerror.FILE_NOT_FOUND])
        return 1
    process.emit(content)
    return 0


def _del(process: Process, rest: str) -> int:
    try:
        process.windows.files.remove(rest.strip('" '))
    except HostError as error:
        process.complain(str(error))
        return 1
    return 0


BUILT_IN: dict[str, Callable[[Process, str], int]] = {
    "echo": _echo,
    "exit": _exit,
    "ver": _ver,
    "set": _set,
    "cd": _cd,
    "type": _type,
    "del": _del,
}


def environment(process: Process) -> dict[str, str]:
    """A service's environment, and what it was started with."""
    computer = process.windows.system.computer
    own = {
        "COMPUTERNAME": computer,
        "ComSpec": "C:\\Windows\\system32\\cmd.exe",
        "OS": "Windows_NT",
        "SystemDrive": "C:",
        "SystemRoot": "C:\\Windows",
        "TEMP": "C:\\Windows\\Temp",
        "USERDOMAIN": "WORKGROUP",
        "USERNAME": f"{computer}$",
        "windir": "C:\\Windows",
    }
    return {**own, **process.env}


def expanded(process: Process, text: str) -> str:
    """Variables in the place of their names between `%`; an unknown name stays as it is."""
    known = {name.casefold(): value for name, value in environment(process).items()}
    pieces = text.split("%")
    shown, at = pieces[0], 1
    while at < len(pieces):
        value = known.get(pieces[at].casefold())
        if at + 1 < len(pieces) and value is not None:
            shown += value + pieces[at + 1]
            at += 2
        else:
            shown += "%" + pieces[at]
            at += 1
    return shown
