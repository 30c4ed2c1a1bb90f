"""cmd.exe: `/c` and one line of commands joined by `&`, `&&` or `||`, with their output to a file or to NUL.

    line ──split──> commands ──redirections──> built-in (`builtins`) | another program | not recognized

Pipes, input from files and blocks in brackets are not simulated, and said not to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.windows.programs.builtins import BUILT_IN, expanded
from qmpemu.guests.windows.programs.registry import Process, find, program, run
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps

NOT_RECOGNIZED = (
    "'{}' is not recognized as an internal or external command,",
    "operable program or batch file.",
)
FAILED = 1
LINE_MAX = 8191
"""Characters of a command line that cmd.exe takes."""
INPUT_LINES_MAX, NESTING_MAX = 1000, 8
"""Lines that are read from standard input, and shells in shells: limits of the simulation."""
NOT_SIMULATED = ("|", "<", "(", ")", "^")


class Part(NamedTuple):
    """One command of a line, and what joins it to the next."""

    text: str
    joint: str


class Target(NamedTuple):
    """Where an output goes. path: empty for where the other one goes."""

    path: str
    appends: bool


@program("cmd.exe")
def cmd(process: Process) -> Steps[int]:
    """`cmd /c LINE`; without `/c` it shows its banner and reads commands from standard input."""
    if process.nesting > NESTING_MAX:
        process.complain("qmpemu does not emulate so many shells in each other")
        return FAILED
    switches = [each.casefold() for each in process.arguments]
    at = next((n for n, each in enumerate(switches) if each in ("/c", "/s/c", "-c")), None)
    if at is not None:
        return (yield from _line(process, " ".join(process.arguments[at + 1 :])))
    build = process.windows.installation.edition.build
    process.say(
        f"Microsoft Windows [Version 10.0.{build}.1]", "(c) Microsoft Corporation. All rights reserved."
    )
    code = 0
    for line in process.given.decode(errors="replace").splitlines()[:INPUT_LINES_MAX]:
        process.say("", f"C:\\Windows\\system32>{line}")
        code = yield from _line(process, line)
    return code


def _line(process: Process, line: str) -> Steps[int]:
    """Run the commands of a line, as what joins them says; the last exit code."""
    if len(line) > LINE_MAX:
        process.complain("The command line is too long.")
        return FAILED
    code, joint = 0, "&"
    for part in split(line.strip()):
        if joint == "&" or (joint == "&&") == (code == 0):
            code = yield from _redirected(process, part.text)
        joint = part.joint
    return code


def _redirected(process: Process, text: str) -> Steps[int]:
    """Run a command with its outputs where it wants them."""
    try:
        command, targets = redirections(text)
    except QmpError as error:
        process.complain(str(error))
        return FAILED
    inner = process.child(process.name, process.arguments)
    code = yield from _command(inner, command)
    outputs = {1: inner.output, 2: inner.errors}
    if 2 in targets and not targets[2].path:
        outputs = {1: inner.output + inner.errors, 2: b""}
    elif 1 in targets and not targets[1].path:
        outputs = {1: b"", 2: inner.errors + inner.output}
    for number, data in outputs.items():
        target = targets.get(number)
        if target is None or not target.path:
            process.emit(data, error=number == 2)
        elif target.path.casefold() != "nul":
            code = _write(process, target, data) or code
    return code


def _write(process: Process, target: Target, data: bytes) -> int:
    try:
        file = process.windows.files.open(target.path, "a" if target.appends else "w")
        try:
            file.write(data)
            file.flush()
        finally:
            file.close()
    except HostError as error:
        process.complain(str(error))
        return FAILED
    return 0


def _command(process: Process, command: str) -> Steps[int]:
    """Run one command in `process`."""
    command = expanded(process, command)
    name, _, rest = command.partition(" ")
    builtin = BUILT_IN.get(name.casefold().rstrip("."))
    if builtin is not None:
        return builtin(process, rest)
    if not name:
        return 0
    try:
        program_name, main = find(name)
    except HostError:
        process.complain(NOT_RECOGNIZED[0].format(name), NOT_RECOGNIZED[1])
        return FAILED
    except QmpError as error:  # not simulated: said where its output would be
        process.complain(error.desc)
        return FAILED
    inner = process.child(program_name, words(rest))
    code = yield from run(inner, main)
    process.emit(inner.output)
    process.emit(inner.errors, error=True)
    return code


# --- reading a line -------------------------------------------------------------------------------------------


def split(line: str) -> list[Part]:
    """The commands of a line."""
    found, text, quoted, at = [], "", False, 0
    while at < len(line):
        two = line[at : at + 2]
        quoted ^= line[at] == '"'
        is_duplicate = line[at] == "&" and text.endswith(">")  # 2>&1
        if not quoted and not is_duplicate and (two in ("&&", "||") or line[at] == "&"):
            joint = two if two in ("&&", "||") else "&"
            found.append(Part(text.strip(), joint))
            text, at = "", at + len(joint)
            continue
        text, at = text + line[at], at + 1
    return [*found, Part(text.strip(), "")]


def redirections(text: str) -> tuple[str, dict[int, Target]]:
    """A command without its redirections, and these by number of the output. Raises QmpError."""
    command, targets, quoted, at = "", dict[int, Target](), False, 0
    while at < len(text):
        quoted ^= text[at] == '"'
        if not quoted and text[at] in NOT_SIMULATED:
            raise QmpError(f"qmpemu does not emulate '{text[at]}' in a command line")
        if quoted or text[at] != ">":
            command, at = command + text[at], at + 1
            continue
        number = 1
        if command[-1:] in ("1", "2") and command[-2:-1] in ("", " "):
            number, command = int(command[-1]), command[:-1]
        appends = text[at : at + 2] == ">>"
        rest = text[at + 1 + appends :]
        if rest.startswith("&"):
            targets[number], at = Target("", False), at + 3 + appends
            continue
        path = _first(rest)
        targets[number] = Target(path.strip().strip('"'), appends)
        at = len(text) - len(rest) + len(path)
    return command.strip(), targets


def _first(text: str) -> str:
    """The spaces and the word that `text` begins with."""
    end, quoted = len(text) - len(text.lstrip()), False
    while end < len(text) and (quoted or text[end] not in " >"):
        quoted ^= text[end] == '"'
        end += 1
    return text[:end]


def words(text: str) -> list[str]:
    """Split at spaces, except between double quotes."""
    found, quoted, word = [], False, ""
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            found.append(word)
            word = ""
        else:
            word += character
    return [each for each in (*found, word) if each]
