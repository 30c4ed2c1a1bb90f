"""Emulator processes for tests: ours and the real one behind the same few calls."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REAL = "/usr/bin/qemu-system-x86_64"
PATIENCE_S = 20.0


class Emulator:
    """One process, `kind` is "ours" or "real", with its QMP socket in `folder`."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.socket_path = folder / "qmp.sock"
        self.program = str(self._link()) if kind == "ours" else REAL
        self.process: subprocess.Popen[str] | None = None
        self._sockets: list[socket.socket] = []
        assert os.path.exists(self.program), f"{self.program} is missing; `make test` installs it"

    def _link(self) -> Path:
        """Our script under QEMU's own name, as a user would install it."""
        script = shutil.which("qmpemu-system-x86_64", path=os.path.dirname(sys.executable))
        assert script is not None, (
            "qmpemu-system-x86_64 is not installed beside this Python; `make test` does that"
        )
        link = self.folder / "qemu-system-x86_64"
        if not link.exists():
            link.symlink_to(script)
        return link

    @property
    def qmp(self) -> list[str]:
        return ["-qmp", f"unix:{self.socket_path},server=on,wait=off"]

    def start(
        self, *words: str, qmp: bool = True, env: dict[str, str] | None = None, **more: Any
    ) -> Emulator:
        """Start with `words`; the QMP socket is added unless qmp=False."""
        accel = [] if self.kind == "ours" else ["-accel", "tcg"]
        argv = [self.program, "-nodefaults", "-display", "none", *accel, *words, *(self.qmp if qmp else [])]
        more.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            **more,
        )
        return self

    def finish(self) -> tuple[int, str]:
        """Wait for the end: exit status and standard error."""
        assert self.process is not None
        _, stderr = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, stderr

    def kill(self) -> None:
        """Leave nothing behind."""
        for sock in self._sockets:
            sock.close()
        if self.process is not None:
            helpers = children(self.process.pid)
            self.process.kill()
            self.process.wait()
            deadline = time.monotonic() + PATIENCE_S
            for helper in helpers:  # they are killed with it, and let go of its images a moment later
                while runs(helper):
                    assert time.monotonic() < deadline
                    select.select([], [], [], 0.001)
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()

    def socket(self, *, listen: bool = False) -> socket.socket:
        """A UNIX socket that is closed with the emulator; listening at the QMP path on request."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE_S)
        self._sockets.append(sock)
        if listen:
            sock.bind(str(self.socket_path))
            sock.listen(1)
        return sock

    def adopt(self, sock: socket.socket) -> Client:
        """A client on a connected socket, closed with the emulator."""
        self._sockets.append(sock)
        return Client(sock)

    def client(self, *, negotiate: bool = True) -> Client:
        """Connect as soon as the socket is there."""
        client = self.adopt(_connect(self.socket_path))
        client.greeting = client.read()
        if negotiate:
            reply = client.ask("qmp_capabilities")
            if "QMP" in reply:  # the real one, when it is met while it starts, may greet twice
                reply = client.read()
            assert reply == {"return": {}}
        return client


def children(pid: int) -> list[int]:
    """Process ids of a process's children; none of one that is gone. A thread's own list may lack some of them."""
    return [
        int(each.name)
        for each in Path("/proc").glob("[0-9]*")
        if stat_fields(int(each.name))[1:2] == [str(pid)]
    ]


def stat_fields(pid: int) -> list[str]:
    """What /proc tells of a process from its state on: state, parent, ...; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended, with all its threads, who have its files open."""
    try:
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False
    return threads > 1 or stat_fields(pid)[:1] not in ([], ["Z"], ["X"])


def _connect(path: Path) -> socket.socket:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE_S)
        try:
            sock.connect(str(path))
            return sock
        except OSError:
            sock.close()
            assert time.monotonic() < deadline, f"nobody listens on {path}"
            select.select(
                [], [], [], 0.005
            )  # a process is starting: there is nothing to wait on but its socket


class Client:
    """A raw QMP client: sends bytes, reads lines, never reorders anything."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""
        self._ended_s = 0.0
        self.greeting: dict[str, Any] = {}

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_line(self) -> bytes:
        """One line with its end, or b"" at end of file."""
        while b"\n" not in self._buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                now_s = time.monotonic()
                self._ended_s = self._ended_s or now_s
                assert now_s < self._ended_s + PATIENCE_S, "a test waits, and the emulator has hung up"
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def read(self) -> dict[str, Any]:
        """One message; {} at end of file."""
        line = self.read_line()
        return json.loads(line) if line else {}

    def put(self, command: str, **arguments: object) -> None:
        """Send a command, `_` in argument names for `-`."""
        message: dict[str, object] = {"execute": command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.send(json.dumps(message).encode() + b"\n")

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """Send a command and read its reply; no event may come before it."""
        self.put(command, **arguments)
        reply = self.read()
        assert "event" not in reply, reply
        return reply

    def story(self, until: str | None = None) -> list[str]:
        """What comes, as short words: event names with reason, `return`, `error`, `EOF`; until `until` came."""
        words: list[str] = []
        while not words or words[-1] != (until or "EOF"):
            message = self.read()
            if not message:
                return [*words, "EOF"]
            words.append(word(message))
        return words

    def close(self) -> None:
        self.sock.close()


def word(message: dict[str, Any]) -> str:
    """A message in short."""
    if "event" not in message:
        return "return" if "return" in message else "error"
    reason = message.get("data", {}).get("reason")
    return message["event"] + (f" {reason}" if reason else "")


def await_gone(path: Path) -> bool:
    """Whether `path` disappears within the patience of these tests."""
    deadline = time.monotonic() + PATIENCE_S
    while path.exists() and time.monotonic() < deadline:
        select.select([], [], [], 0.005)
    return not path.exists()


def say(client: Client, command: str, **arguments: Any) -> Any:
    """The reply, or the words of a refusal; events are passed over."""
    client.put(command, **arguments)
    while "event" in (reply := client.read()):
        pass
    return reply["return"] if "return" in reply else reply["error"]["desc"]
