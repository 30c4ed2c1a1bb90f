"""guests.agent: files and programs of the guest."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from qmpemu.guests.windows import files
from qmpemu.guests.windows.programs import registry as programs
from qmpemu.hardware import Hardware, Nic
from tests.guests.rig import CLIENT, CLOUD_SERVER, STOCK_SERVER, Rig

PATH = "C:\\Temp\\notes.txt"


@pytest.fixture
def rig() -> Rig:
    """A running guest with an agent and a network."""
    hardware = Hardware(nics=(Nic("e1000e", "52:54:00:12:34:56", "user"),))
    return Rig(CLOUD_SERVER, {"ComputerName": "HOST1"}, hardware=hardware).boot()


def base64(text: str) -> str:
    """As the protocol carries it."""
    return b64encode(text.encode()).decode()


def write(rig: Rig, path: str, text: str, mode: str = "w") -> None:
    """Write a file from begin to end."""
    handle = rig.ask_agent("guest-file-open", path=path, mode=mode)
    assert rig.ask_agent("guest-file-write", handle=handle, buf_b64=base64(text)) == {
        "count": len(text),
        "eof": False,
    }
    rig.ask_agent("guest-file-close", handle=handle)


def read(rig: Rig, path: str) -> str:
    """Read a file from begin to end."""
    handle = rig.ask_agent("guest-file-open", path=path)
    data = b64decode(rig.ask_agent("guest-file-read", handle=handle)["buf-b64"])
    rig.ask_agent("guest-file-close", handle=handle)
    return data.decode()


def test_write_read_append(rig: Rig) -> None:
    """What is written can be read, in any spelling of the path, and is still there after a restart."""
    write(rig, PATH, "one")
    write(rig, "c:/temp/NOTES.TXT", " two", "a")
    assert read(rig, PATH) == "one two"
    rig.send(b'{"execute": "guest-shutdown", "arguments": {"mode": "reboot"}}', 90)
    assert len(rig.all("BootCompleted")) == 2
    assert read(rig, PATH) == "one two"


def test_a_cut_loses_what_was_not_flushed(rig: Rig) -> None:
    """Flushed bytes are on the disk when the power goes, later ones are not."""
    handle = rig.ask_agent("guest-file-open", path=PATH, mode="w")
    rig.ask_agent("guest-file-write", handle=handle, buf_b64=base64("safe"))
    assert rig.ask_agent("guest-file-flush", handle=handle) == {}
    rig.ask_agent("guest-file-write", handle=handle, buf_b64=base64(" lost"))
    rig.cut_power()
    assert read(Rig(CLOUD_SERVER, store=rig.store).boot(), PATH) == "safe"


def test_positions(rig: Rig) -> None:
    """Seek, partial reads, the end: eof comes with nothing left to read."""
    handle = rig.ask_agent("guest-file-open", path=PATH, mode="w+")
    rig.ask_agent("guest-file-write", handle=handle, buf_b64=base64("abcdef"), count=5)

    def at(offset: int, whence: object) -> Any:
        return rig.ask_agent("guest-file-seek", handle=handle, offset=offset, whence=whence)

    assert at(1, "set") == {"position": 1, "eof": False}
    assert rig.ask_agent("guest-file-read", handle=handle, count=2) == {
        "count": 2,
        "buf-b64": base64("bc"),
        "eof": False,
    }
    assert at(0, 1) == {"position": 3, "eof": False}
    assert at(-2, "end") == {"position": 3, "eof": False}
    assert rig.ask_agent("guest-file-read", handle=handle)["count"] == 2
    assert rig.ask_agent("guest-file-read", handle=handle) == {"count": 0, "buf-b64": "", "eof": True}
    assert at(-1, "set") == [
        "failed to seek file: An attempt was made to move the file pointer before the beginning of the file."
    ]
    assert at(0, 5) == ["invalid whence code 5"]
    assert at(0, "middle") == ["Parameter 'whence' does not accept value 'middle'"]
    assert at(0, None) == ["Invalid parameter type for 'whence', expected: GuestFileWhence"]


@pytest.mark.parametrize(
    ("path", "mode", "desc"),
    [
        (
            "C:\\Temp\\no",
            "r",
            "failed to open file 'C:\\Temp\\no': The system cannot find the file specified.",
        ),
        ("C:\\No\\no", "w", "failed to open file 'C:\\No\\no': The system cannot find the path specified."),
        ("X:\\a", "w", "failed to open file 'X:\\a': The system cannot find the path specified."),
        ("C:\\Temp", "r", "failed to open file 'C:\\Temp': Access is denied."),
        (
            "C:\\Temp\\a?b",
            "w",
            "failed to open file 'C:\\Temp\\a?b': The filename, directory name, or volume label syntax is incorrect.",
        ),
        (PATH, "x", "invalid file open mode"),
        (PATH, "ab", "invalid file open mode"),
    ],
)
def test_what_cannot_be_opened(rig: Rig, path: str, mode: str, desc: str) -> None:
    """Windows' text, behind the agent's."""
    assert rig.ask_agent("guest-file-open", path=path, mode=mode) == [desc]


def test_handles(rig: Rig) -> None:
    """Handles count from 1000; a closed one is not found; a writer is alone, readers are not."""
    write(rig, PATH, "x")
    reader = rig.ask_agent("guest-file-open", path=PATH)
    assert reader == 1001
    other = rig.ask_agent("guest-file-open", path=PATH)
    assert rig.ask_agent("guest-file-open", path=PATH, mode="a") == [
        f"failed to open file '{PATH}': The process cannot access the file because it is being used by another process."
    ]
    assert rig.ask_agent("guest-file-write", handle=reader, buf_b64="") == [
        "failed to write to file: Access is denied."
    ]
    for handle in (reader, other):
        assert rig.ask_agent("guest-file-close", handle=handle) == {}
    for name in ("read", "close", "flush"):
        assert rig.ask_agent(f"guest-file-{name}", handle=reader) == ["handle '1001' has not been found"]


@pytest.mark.parametrize("count", [-1, (48 << 20) + 1])
def test_counts(rig: Rig, count: int) -> None:
    """A count out of range is refused."""
    handle = rig.ask_agent("guest-file-open", path=PATH, mode="w+")
    refusal = [f"value '{count}' is invalid for argument count"]
    assert rig.ask_agent("guest-file-read", handle=handle, count=count) == refusal
    assert rig.ask_agent("guest-file-write", handle=handle, buf_b64="", count=count) == refusal


def test_the_disk_is_full(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to what is kept."""
    monkeypatch.setattr(files, "STORE_MAX_BYTES", 8)
    write(rig, PATH, "12345678")
    handle = rig.ask_agent("guest-file-open", path=PATH, mode="a")
    assert rig.ask_agent("guest-file-write", handle=handle, buf_b64=base64("9")) == [
        "failed to write to file: There is not enough space on the disk."
    ]


# --- programs -------------------------------------------------------------------------------------------------


def run(rig: Rig, path: str, *arguments: str, seconds: float = 5, **more: object) -> dict[str, Any]:
    """Start a program, wait, and ask how it ended; output as text."""
    started = rig.ask_agent(
        "guest-exec", seconds, path=path, arg=list(arguments), capture_output=True, **more
    )
    status: dict[str, Any] = rig.ask_agent("guest-exec-status", pid=started["pid"])
    for name in ("out-data", "err-data"):
        if name in status:
            status[name] = b64decode(status[name]).decode()
    return status


@pytest.mark.parametrize(
    ("path", "arguments", "output"),
    [
        ("cmd.exe", ("/c", "echo", "hello"), "hello\r\n"),
        ("C:\\Windows\\System32\\CMD.EXE", ("/c", "echo a&& echo %COMPUTERNAME%"), "a\r\nHOST1\r\n"),
        ("cmd", ("/c", "ver"), "\r\nMicrosoft Windows [Version 10.0.20348.1]\r\n"),
        ("hostname", (), "HOST1\r\n"),
        ("whoami.exe", (), "nt authority\\system\r\n"),
        ("cmd.exe", ("/c", "type C:\\Windows\\win.ini"), "; for 16-bit app support"),
        ("ipconfig", ("/all",), "   IPv4 Address. . . . . . . . . . . : 10.0.2.15\r\n"),
    ],
)
def test_programs(rig: Rig, path: str, arguments: tuple[str, ...], output: str) -> None:
    """Programs of the simulated Windows show its own truth and end with 0."""
    status = run(rig, path, *arguments)
    assert status["exited"] and status["exitcode"] == 0 and not status["out-truncated"]
    assert output in status["out-data"]


def test_exit_codes_and_errors(rig: Rig) -> None:
    """Exit codes, the error output, conditional commands, and a name that the shell does not know."""
    assert run(rig, "cmd.exe", "/c", "exit 7") == {"exited": True, "exitcode": 7}
    status = run(rig, "cmd.exe", "/c", "nonsense || echo so it is")
    assert status["err-data"].startswith("'nonsense' is not recognized as an internal or external command")
    assert status["out-data"] == "so it is\r\n"


def test_a_crash_is_a_signal(rig: Rig) -> None:
    """An exit code that is an exception's is told as a signal."""
    assert run(rig, "cmd.exe", "/c", "exit -1073741510") == {"exited": True, "signal": 0xC000013A}


def test_the_end_is_told_once(rig: Rig) -> None:
    """A running program is not exited; its end is told once; then its pid is invalid, as any other."""
    pid = rig.ask_agent("guest-exec", 1, path="ping", arg=["-n", "3", "127.0.0.1"])["pid"]
    assert pid % 4 == 0
    assert rig.ask_agent("guest-exec-status", 0.5, pid=pid) == {"exited": False}
    rig.run(5)
    assert rig.ask_agent("guest-exec-status", pid=pid) == {"exited": True, "exitcode": 0}
    for wrong in (pid, 4):
        assert rig.ask_agent("guest-exec-status", pid=wrong) == ["Invalid parameter 'pid'"]


def test_what_is_not_there_and_what_is_not_simulated(rig: Rig) -> None:
    """A file that does not exist fails in GLib's words; a program of Windows that is not simulated says so."""
    for path in ("no.exe", "C:\\Temp\\cmd.exe", ""):
        assert rig.ask_agent("guest-exec", path=path) == [
            "Guest agent command failed, error was 'Failed to execute child process (No such file or directory)'"
        ]
    assert rig.ask_agent("guest-exec", path="powershell") == [
        "qmpemu does not emulate the program 'powershell.exe'"
    ]
    status = run(rig, "cmd.exe", "/c", "netsh")
    assert status["exitcode"] == 1 and "does not emulate the program 'netsh.exe'" in status["err-data"]


def test_input_and_environment(rig: Rig) -> None:
    """Standard input reaches the shell, and so does the environment."""
    status = run(rig, "cmd.exe", input_data=base64("echo %COLOUR%\r\n"), env=["COLOUR=green"])
    assert "green" in status["out-data"]
    assert rig.ask_agent("guest-exec", path="cmd", input_data="!") == [
        "Base64 data contains invalid characters"
    ]


def test_shutdown_exe_goes_through_the_one_door(rig: Rig) -> None:
    """`shutdown /s /t 0` in the guest ends as one at its console."""
    assert run(rig, "shutdown.exe", "/x")["exitcode"] == 1
    rig.ask_agent("guest-exec", 60, path="shutdown.exe", arg=["/s", "/t", "0"])
    assert rig.one("ShutdownRequested").data()["door"] == "shutdown.exe"
    assert rig.board.exit_status == 0


def test_abort_of_what_is_not_under_way() -> None:
    """`shutdown /a` without one ends with Windows' error."""
    rig = Rig(STOCK_SERVER, {"QEMU-GA": "running"}).boot()
    assert run(rig, "shutdown.exe", "/a")["exitcode"] == 1116


def test_services(rig: Rig) -> None:
    """sc.exe sees, stops and starts services."""
    assert "RUNNING" in run(rig, "sc.exe", "query", "Spooler")["out-data"]
    assert run(rig, "sc.exe", "stop", "Spooler")["exitcode"] == 0
    assert "STOPPED" in run(rig, "sc.exe", "query", "spooler")["out-data"]
    assert run(rig, "sc.exe", "stop", "Spooler")["exitcode"] == 1062
    assert run(rig, "sc.exe", "query", "nonsense")["exitcode"] == 1060


def test_tasklist_shows_applications() -> None:
    """Who is logged on has programs."""
    rig = Rig(CLIENT, {"QEMU-GA": "running"}).boot()
    assert "explorer.exe" in run(rig, "tasklist")["out-data"]


@pytest.mark.parametrize(
    ("target", "code", "text"),
    [
        ("localhost", 0, "Reply from localhost"),
        ("10.0.2.2", 0, "0% loss"),
        ("8.8.8.8", 1, "Request timed out."),
        ("nowhere.example", 1, "could not find host"),
    ],
)
def test_ping(rig: Rig, target: str, code: int, text: str) -> None:
    """Own addresses and the gateway of the user network answer."""
    status = run(rig, "ping", "-n", "2", target)
    assert status["exitcode"] == code and text in status["out-data"]


def test_every_program_is_either_simulated_or_said_not_to_be() -> None:
    """No program is on both lists."""
    programs.find("cmd.exe")
    assert not set(programs.PROGRAMS) & programs.NOT_SIMULATED


@pytest.mark.parametrize(
    ("line", "output", "errors", "code"),
    [
        ("echo a > C:\\Temp\\o & type C:\\Temp\\o", "a\r\n", "", 0),
        ("echo a>C:\\Temp\\o& echo b>>C:\\Temp\\o& type C:\\Temp\\o", "a\r\nb\r\n", "", 0),
        ("nonsense 2>NUL || echo no", "no\r\n", "", 0),
        ("type C:\\no 2>&1", "The system cannot find the file specified.\r\n", "", 1),
        ("echo a > C:\\No\\o", "", "The system cannot find the path specified.\r\n", 1),
        ('echo "a > b & c"', '"a > b & c"\r\n', "", 0),
        ("echo a&del C:\\Temp\\no", "a\r\n", "The system cannot find the file specified.\r\n", 1),
        ("dir | find x", "", "qmpemu does not emulate '|' in a command line\r\n", 1),
        (
            "cmd /c cmd /c cmd /c cmd /c cmd /c ver",
            "",
            "qmpemu does not emulate so many shells in each other\r\n",
            1,
        ),
        ("echo %NOTHING% 100%", "%NOTHING% 100%\r\n", "", 0),
        ("x" * 8192, "", "The command line is too long.\r\n", 1),
    ],
)
def test_lines_of_the_shell(rig: Rig, line: str, output: str, errors: str, code: int) -> None:
    """Redirections and joints; what is not simulated is said where the output would be."""
    status = run(rig, "cmd.exe", "/c", line)
    assert (status.get("out-data", ""), status.get("err-data", ""), status["exitcode"]) == (
        output,
        errors,
        code,
    )


def test_output_has_a_limit(rig: Rig) -> None:
    """What a program writes beyond 16 MiB is cut off, and said to be."""
    write(rig, "C:\\Temp\\big", "x" * 9_000_000)
    status = run(rig, "cmd.exe", "/c", "type C:\\Temp\\big & type C:\\Temp\\big & type C:\\Temp\\big")
    assert len(status["out-data"]) == 16 << 20 and status["out-truncated"] is True


def test_programs_that_run_have_a_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than so many at a time are refused, and an end makes room."""
    monkeypatch.setattr(programs, "PROCESSES_MAX", 2)
    for _ in range(2):
        rig.ask_agent("guest-exec", 0.1, path="ping", arg=["-n", "20", "127.0.0.1"])
    assert rig.ask_agent("guest-exec", path="hostname") == [
        "Guest agent command failed, error was 'Failed to execute child process (Not enough space)'"
    ]
    rig.run(30)
    assert "pid" in rig.ask_agent("guest-exec", path="hostname")
