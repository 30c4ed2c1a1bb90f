"""Programs by name, and what a running one has.

    @program("hostname.exe")
    def hostname(process):                  # a generator where it takes time: `yield` nanoseconds
        process.say(process.windows.system.computer)
        return 0                            # the exit code

Windows has hundreds more; those that are known to be there and are not simulated say so (`NOT_SIMULATED`), every other
name is a file that does not exist.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import GeneratorType
from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.agent.host import HostError
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.windows import Windows

    Main = Callable[..., object]

NOT_SIMULATED = frozenset(
    "bcdedit.exe certutil.exe chkdsk.exe cscript.exe defrag.exe diskpart.exe dism.exe format.com icacls.exe "
    "msiexec.exe mshta.exe net.exe netsh.exe netstat.exe notepad.exe nslookup.exe powercfg.exe powershell.exe "
    "pwsh.exe reg.exe regedit.exe robocopy.exe route.exe rundll32.exe schtasks.exe sfc.exe systeminfo.exe "
    "taskkill.exe vssadmin.exe w32tm.exe wevtutil.exe wmic.exe wscript.exe wusa.exe xcopy.exe".split()
)
"""Programs of a fresh Windows that are not simulated."""

NO_ROOM = "Failed to execute child process (Not enough space)"
NOT_FOUND = "Failed to execute child process (No such file or directory)"
"""GLib's words on Windows, for two of C's errors."""

START_MS, FIRST_PID, PID_STEP = 15, 2004, 4
"""How long a program takes at least (U), and Windows' process ids, which are multiples of 4."""
DIRECTORIES = frozenset(("", "c:\\windows", "c:\\windows\\system32", "%systemroot%\\system32"))
PROCESSES_MAX = 200
OUTPUT_MAX_BYTES = (16 << 20) + 1
"""Of each output: one byte more than the agent keeps, by which it sees that there was more."""


class ProgramStarted(Fact):
    """A program runs. by: what started it."""

    program: str
    by: str


class ProgramEnded(Fact):
    """A program has ended."""

    program: str
    code: int


class Process:
    """One running program.

    given: its standard input. code: its exit code once it has ended. nesting: programs around it. Outputs have a limit.
    """

    __slots__ = ("arguments", "code", "env", "errors", "given", "name", "nesting", "output", "pid", "windows")

    def __init__(
        self,
        windows: Windows,
        pid: int,
        name: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        given: bytes = b"",
    ) -> None:
        self.windows = windows
        self.pid = pid
        self.name = name
        self.arguments = list(arguments)
        self.env = dict(env)
        self.given = given
        self.code: int | None = None
        self.nesting = 0
        self.output = b""
        self.errors = b""

    def child(self, name: str, arguments: Sequence[str]) -> Process:
        """A program that runs inside this one."""
        inner = Process(self.windows, self.pid, name, arguments, self.env, self.given)
        inner.nesting = self.nesting + 1
        return inner

    def say(self, *lines: str) -> None:
        """Lines on standard output."""
        self.emit("".join(f"{line}\r\n" for line in lines).encode())

    def complain(self, *lines: str) -> None:
        """Lines on standard error."""
        self.emit("".join(f"{line}\r\n" for line in lines).encode(), error=True)

    def emit(self, data: bytes, *, error: bool = False) -> None:
        """Bytes on standard output, or on standard error."""
        if error:
            self.errors += data[: OUTPUT_MAX_BYTES - len(self.errors)]
        else:
            self.output += data[: OUTPUT_MAX_BYTES - len(self.output)]


PROGRAMS: dict[str, Main] = {}


def program(name: str) -> Callable[[Main], Main]:
    """Register a function `(process) -> exit code` as the program of that file name."""

    def register(main: Main) -> Main:
        PROGRAMS[name] = main
        return main

    return register


def find(path: str) -> tuple[str, Main]:
    """The program a path means. Raises HostError, and QmpError for one that is not simulated."""
    if not PROGRAMS:
        for entry in sorted(os.listdir(os.path.dirname(__file__))):
            module, _, ending = entry.partition(".")
            if ending == "py" and module not in ("__init__", "registry"):
                import_module(f"{__package__}.{module}")
    directory, _, name = path.strip('"').replace("/", "\\").casefold().rpartition("\\")
    if "." not in name:
        name += ".exe"
    if directory in DIRECTORIES:
        if name in PROGRAMS:
            return name, PROGRAMS[name]
        if name in NOT_SIMULATED:
            raise QmpError(f"qmpemu does not emulate the program '{name}'")
    raise HostError(NOT_FOUND)


def run(process: Process, main: Main) -> Steps[int]:
    """Run a program to its end; the exit code."""
    result = main(process)
    if isinstance(result, GeneratorType):
        result = yield from result
    assert isinstance(result, int)
    process.code = result
    return result


class Processes:
    """The processes that the agent starts."""

    __slots__ = ("_next_pid", "_running", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._next_pid = FIRST_PID
        self._running = 0

    def start(self, path: str, arguments: Sequence[str], env: Mapping[str, str], given: bytes) -> Process:
        """CreateProcess. Raises HostError."""
        name, main = find(path)
        if self._running >= PROCESSES_MAX:
            raise HostError(NO_ROOM)
        process = Process(self._windows, self._next_pid, name, arguments, env, given)
        self._next_pid += PID_STEP
        self._windows.system.activities.start(self._live(process, main))
        return process

    def _live(self, process: Process, main: Main) -> Steps[None]:
        facts = self._windows.system.facts
        self._running += 1
        facts.chain(ProgramStarted(program=process.name, by="guest agent"))
        yield START_MS * NS_PER_MS
        code = yield from run(process, main)
        self._running -= 1
        facts.chain(ProgramEnded(program=process.name, code=code))
