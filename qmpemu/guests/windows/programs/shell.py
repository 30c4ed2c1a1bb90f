"""cmd.exe: `/c` and one line of commands joined by `&`, `&&` or `||`; built-in commands and the other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.windows.programs.registry import Process, find, program, run

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps

NOT_RECOGNIZED = (
    "'{}' is not recognized as an internal or external command,",
    "operable program or batch file.",
)
NOT_RECOGNIZED_CODE = 1
LINE_MAX = 8191
"""Characters of a command line that cmd.exe takes."""


@program("cmd.exe")
def cmd(process: Process) -> Steps[int]:
    """`cmd /c LINE`; without `/c` it shows its banner and reads commands from standard input."""
    switches = [each.casefold() for each in process.arguments]
    at = next((n for n, each in enumerate(switches) if each in ("/c", "/s/c", "-c")), None)
    if at is not None:
        return (yield from _line(process, " ".join(process.arguments[at + 1 :])))
    build = process.windows.installation.edition.build
    process.say(
        f"Microsoft Windows [Version 10.0.{build}.1]", "(c) Microsoft Corporation. All rights reserved."
    )
    code = 0
    for line in process.given.decode(errors="replace").splitlines():
        process.say("", f"C:\\Windows\\system32>{line}")
        code = yield from _line(process, line)
    return code


def _line(process: Process, line: str) -> Steps[int]:
    """Run the commands of a line, as what joins them says; the last exit code."""
    if len(line) > LINE_MAX:
        process.complain("The command line is too long.")
        return NOT_RECOGNIZED_CODE
    code, joint = 0, "&"
    for command, following in _split(line.strip()):
        if joint == "&" or (joint == "&&") == (code == 0):
            code = yield from _command(process, command)
        joint = following
    return code


def _split(line: str) -> list[tuple[str, str]]:
    """The commands of a line, each with what joins it to the next."""
    found, word, quoted, at = [], "", False, 0
    while at < len(line):
        two = line[at : at + 2]
        if line[at] == '"':
            quoted = not quoted
        if not quoted and (two in ("&&", "||") or line[at] == "&"):
            joint = two if two in ("&&", "||") else "&"
            found.append((word.strip(), joint))
            word, at = "", at + len(joint)
            continue
        word, at = word + line[at], at + 1
    return [*found, (word.strip(), "")]


def _command(process: Process, command: str) -> Steps[int]:
    name, _, rest = command.partition(" ")
    builtin = _BUILT_IN.get(name.casefold().rstrip("."))
    if builtin is not None:
        return builtin(process, rest)
    if not name:
        return 0
    try:
        program_name, main = find(name)
    except HostError:
        process.complain(NOT_RECOGNIZED[0].format(name), NOT_RECOGNIZED[1])
        return NOT_RECOGNIZED_CODE
    except Exception as error:  # a program that is not simulated: said where its output would be
        process.complain(str(error))
        return NOT_RECOGNIZED_CODE
    inner = Process(process.windows, process.pid, program_name, _words(rest), process.env, process.given)
    code = yield from run(inner, main)
    process.output += inner.output
    process.errors += inner.errors
    return code


def _words(text: str) -> list[str]:
    """Split at spaces, except between double quotes."""
    words, quoted, word = [], False, ""
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += character
    return [each for each in (*words, word) if each]


def _echo(process: Process, rest: str) -> int:
    process.say(_expanded(process, rest) if rest else "ECHO is on.")
    return 0


def _exit(process: Process, rest: str) -> int:
    number = rest.removeprefix("/b").removeprefix("/B").strip()
    return int(number) & 0xFFFF_FFFF if number.lstrip("-").isdecimal() else 0


def _ver(process: Process, rest: str) -> int:
    process.say("", f"Microsoft Windows [Version 10.0.{process.windows.installation.edition.build}.1]")
    return 0


def _set(process: Process, rest: str) -> int:
    variables = environment(process)
    process.say(*(f"{name}={value}" for name, value in sorted(variables.items())))
    return 0


def _type(process: Process, rest: str) -> int:
    try:
        content = process.windows.files.find(rest.strip('"'))
    except HostError as error:
        process.complain(str(error))
        return 1
    if content is None:
        process.complain("The system cannot find the file specified.")
        return 1
    process.output += content
    return 0


_BUILT_IN = {"echo": _echo, "exit": _exit, "ver": _ver, "set": _set, "type": _type}


def environment(process: Process) -> dict[str, str]:
    """A service's environment, and what it was started with."""
    computer = process.windows.system.computer
    own = {
        "COMPUTERNAME": computer,
        "ComSpec": "C:\\Windows\\system32\\cmd.exe",
        "OS": "Windows_NT",
        "SystemDrive": "C:",
        "SystemRoot": "C:\\Windows",
        "USERDOMAIN": "WORKGROUP",
        "USERNAME": f"{computer}$",
        "windir": "C:\\Windows",
    }
    return {**own, **process.env}


def _expanded(process: Process, text: str) -> str:
    """Put variables in the place of their names."""
    known = {name.casefold(): value for name, value in environment(process).items()}
    pieces = text.split("%")
    for at in range(1, len(pieces) - 1):
        value = known.get(pieces[at].casefold())
        if value is not None:
            pieces[at] = value
            pieces[at - 1 : at + 2] = ["".join(pieces[at - 1 : at + 2])]
            return _expanded_rest(pieces, known)
    return text


def _expanded_rest(pieces: list[str], known: dict[str, str]) -> str:
    """The same for what follows the first name."""
    text, at = pieces[0], 1
    while at < len(pieces):
        name = pieces[at]
        if at + 1 < len(pieces) and name.casefold() in known:
            text += known[name.casefold()] + pieces[at + 1]
            at += 2
        else:
            text += "%" + name
            at += 1
    return text
