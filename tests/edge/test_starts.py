"""How the emulator process starts, or does not: the same claims hold for ours and for the real QEMU 7.2."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from emulators import Emulator, await_gone

NONE = ("-machine", "none")


def test_daemonize_returns_when_the_socket_listens(emulator: Emulator) -> None:
    """-daemonize: the parent leaves with 0, pidfile (0600, one line) and socket are there; SIGTERM removes both."""
    pidfile = emulator.folder / "pid"
    emulator.start(*NONE, "-S", "-daemonize", "-pidfile", str(pidfile))
    assert emulator.finish() == (0, "")
    pid = int(pidfile.read_text())
    try:
        assert pidfile.stat().st_mode & 0o777 == 0o600
        client = emulator.client()
        assert client.ask("query-status")["return"]["status"] == "prelaunch"
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
    assert client.story() == ["SHUTDOWN host-signal", "EOF"]
    assert await_gone(pidfile)
    assert not emulator.socket_path.exists()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-nope", "-nope: invalid option"),
        ("-m", "-m: requires an argument"),
        ("-machine foo", "unsupported machine type\nUse -machine help to list supported machines"),
        (
            "-machine none -qmp unix:/nope/x,server=on,wait=off",
            "-qmp unix:/nope/x,server=on,wait=off: Failed to bind socket to /nope/x: No such file or directory",
        ),
        (
            "-machine none -chardev socket,id=a,path=/nope/z",
            "-chardev socket,id=a,path=/nope/z: Failed to connect to '/nope/z': No such file or directory",
        ),
        (
            "-machine none -qmp tcp::5907",
            "-qmp tcp::5907: address resolution failed for :5907: Name or service not known",
        ),
        (
            "-machine none -pidfile /nope/x",
            "cannot create PID file: Could not create '/nope/x': No such file or directory",
        ),
        (
            "-machine none -chardev socket,id=a,fd=99,server=on,wait=off",
            "-chardev socket,id=a,fd=99,server=on,wait=off: File descriptor '99' is not a socket",
        ),
        ("-machine none -daemonize -qmp stdio", "-qmp stdio: cannot use stdio with -daemonize"),
        (
            "-machine none -chardev file,id=a,path=/nope/x",
            "-chardev file,id=a,path=/nope/x: Could not open '/nope/x': No such file or directory",
        ),
    ],
)
def test_start_errors(emulator: Emulator, line: str, text: str) -> None:
    """A command line that cannot work: QEMU's text behind the program's name on stderr, status 1."""
    emulator.start(*line.split(), qmp=False)
    status, stderr = emulator.finish()
    first, *rest = text.split("\n")
    assert (status, stderr) == (1, "\n".join([f"qemu-system-x86_64: {first}", *rest]) + "\n")


def test_a_busy_port(emulator: Emulator) -> None:
    """A TCP port in use is one line and status 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"tcp:127.0.0.1:{taken.getsockname()[1]},server=on,wait=off"
        emulator.start(*NONE, "-qmp", where, qmp=False)
        status, stderr = emulator.finish()
    assert status == 1
    assert stderr == (
        f"qemu-system-x86_64: -qmp {where}: Failed to find an available port: Address already in use\n"
    )


def test_a_locked_pidfile_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    """Two emulators cannot share a pidfile; the first lives on."""
    pidfile = str(emulator.folder / "pid")
    first = emulator.start(*NONE, "-pidfile", pidfile).client()
    second = Emulator(emulator.kind, tmp_path)
    status, stderr = second.start(*NONE, "-pidfile", pidfile, qmp=False).finish()
    second.kill()
    assert status == 1
    assert stderr.startswith("qemu-system-x86_64: cannot create PID file: Cannot lock pid file")
    assert first.ask("query-name") == {"return": {}}


def test_a_refused_start_leaves_no_pidfile(emulator: Emulator) -> None:
    """Whatever is refused after the pidfile was written takes it away again."""
    pidfile = emulator.folder / "pid"
    status, stderr = emulator.start(*NONE, "-pidfile", str(pidfile), "-device", "none", qmp=False).finish()
    assert (status, stderr) == (
        1,
        "qemu-system-x86_64: -device none: 'none' is not a valid device model name\n",
    )
    assert not pidfile.exists()
