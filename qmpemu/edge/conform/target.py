"""What a case is played on: a process started for it, or a server that runs already. Blocking sockets, raw bytes.

Raw on purpose: a client library would hide what is judged here, such as white space, order, and broken input.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from qmpemu.edge.conform.case import ANY_MACHINE, words

if TYPE_CHECKING:
    from types import TracebackType

    from qmpemu.edge.conform.case import Case

PATIENCE_S = 10.0
"""How long a line, a connection or an end is waited for."""
WARM_UP_TRIES, WARM_UP_S = 3, 1.0
LINE_BYTES_MAX = 16 << 20
NOTHING_BOOTS = {"QMPEMU_GUEST": "none"}
"""qmpemu runs no firmware files; this is the same for it."""
HALT, FIRMWARE_BYTES = b"\xf4", 1 << 16
"""The x86 instruction HLT, and the size of a PC's smallest firmware."""


class TargetError(Exception):
    """The target cannot be played on; one sentence."""


class Silence(Exception):
    """Nothing came within the patience."""


class Wire:
    """One client's connection: bytes out, lines in."""

    __slots__ = ("_buffer", "_fds", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._fds: list[int] = []

    def send(self, data: bytes) -> None:
        """Send, with the descriptors that `attach` named; a server that has hung up is heard at the next read."""
        try:
            if self._fds:
                socket.send_fds(self._sock, [data[:1]], self._fds)
                data, self._fds = data[1:], []
            self._sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self._fds = []

    def attach(self, fd: int) -> None:
        """Send this descriptor along with the next bytes."""
        self._fds.append(fd)

    def read(self, patience_s: float = PATIENCE_S) -> bytes:
        """One line with its end; what came before the end of file; b"" at the end of file. Raises Silence."""
        deadline = time.monotonic() + patience_s
        while b"\n" not in self._buffer and len(self._buffer) < LINE_BYTES_MAX:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._sock], [], [], left)[0]:
                raise Silence
            try:
                data = self._sock.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                rest, self._buffer = self._buffer, b""
                return rest
            self._buffer += data
        at = self._buffer.find(b"\n") + 1 or len(self._buffer)
        line, self._buffer = self._buffer[:at], self._buffer[at:]
        return line

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Part."""
        self._sock.close()


def connect(path: str, *, gone: subprocess.Popen[bytes] | None = None) -> Wire:
    """A connection to a UNIX socket, as soon as there is one. Raises TargetError."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return Wire(sock)
        except OSError as error:
            sock.close()
            if gone is None or gone.poll() is not None or time.monotonic() > deadline:
                raise TargetError(f"no monitor listens on {path}: {error.strerror or error}") from None
            select.select([], [], [], 0.002)  # a process that starts: its socket is the first sign of it


class Process:
    """A binary, started for one case in a scratch folder."""

    def __init__(self, binary: str, case: Case) -> None:
        self._warm = False
        self._scratch = tempfile.TemporaryDirectory(prefix="qmpemu-conform-")
        self.folder = self._scratch.name
        try:
            with Path(self.folder, "stderr").open("wb") as said:  # a file: nobody would empty a pipe
                self._process = subprocess.Popen(
                    self._argv(binary, case),
                    cwd=self.folder,
                    env={**os.environ, **(NOTHING_BOOTS if case.halted else {})},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                )
        except OSError as error:
            self._scratch.cleanup()
            raise TargetError(f"{binary} cannot be run: {error.strerror}") from None

    def _argv(self, binary: str, case: Case) -> list[str]:
        argv = [binary, *([] if case.defaults else ["-nodefaults"]), "-display", "none", "-accel", "tcg"]
        argv += words(case.argv or ANY_MACHINE, self.folder)
        if case.halted:
            Path(self.folder, "halt").write_bytes(HALT * FIRMWARE_BYTES)
            argv += ["-bios", f"{self.folder}/halt"]
        pretty = ",pretty=on" if case.pretty else ""
        for number in range(1, case.monitors + 1):
            argv += ["-chardev", f"socket,id=mon{number},path={self._monitor(number)},server=on,wait=off"]
            argv += ["-mon", f"chardev=mon{number},mode=control{pretty}"]
        if case.qtest:
            argv += ["-qtest", f"unix:{self.folder}/qtest,server=on,wait=off", "-qtest-log", "/dev/null"]
        return argv

    def _monitor(self, number: int) -> str:
        return f"{self.folder}/monitor{number}"

    def connect(self, monitor: int) -> Wire:
        """A connection to a monitor. Raises TargetError."""
        try:
            if not self._warm:
                self._warm_up()
            return connect(self._monitor(monitor), gone=self._process)
        except TargetError as error:
            raise TargetError(f"{error}; it said: {self.said()}") from None

    def _warm_up(self) -> None:
        """Wait until it serves: a QEMU that is met while it starts may greet twice, or never answer that client."""
        self._warm = True
        for _ in range(WARM_UP_TRIES):
            wire = connect(self._monitor(1), gone=self._process)
            try:
                wire.send(b'{"execute":"qmp_capabilities"}\n')
                line = wire.read(WARM_UP_S)
                while line and b'"return"' not in line:
                    line = wire.read(WARM_UP_S)
                while line and not line.rstrip().endswith(b"}"):  # a pretty reply has more lines
                    line = wire.read(WARM_UP_S)
                if line.startswith(b" "):
                    wire.read(WARM_UP_S)
                return
            except Silence:
                continue
            finally:
                wire.close()

    def qtest(self) -> Wire:
        """A connection to the qtest socket."""
        return connect(f"{self.folder}/qtest", gone=self._process)

    def said(self) -> str:
        """What it wrote to standard error, in short."""
        return Path(self.folder, "stderr").read_text(errors="replace").strip()[:500] or "nothing"

    def signal(self, name: str) -> None:
        """Send a signal by its name, e.g. TERM."""
        self._process.send_signal(signal.Signals[f"SIG{name}"])

    def exit_status(self, patience_s: float = PATIENCE_S) -> str:
        """Its exit status once it has ended; `running` if it does not."""
        try:
            return str(self._process.wait(patience_s))
        except subprocess.TimeoutExpired:
            return "running"

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._scratch.cleanup()


class Running:
    """A server that somebody else started; cases that need a process of their own do not run on it."""

    folder = ""

    def __init__(self, path: str) -> None:
        self._path = path

    def connect(self, monitor: int) -> Wire:
        """A connection. Raises TargetError."""
        assert monitor == 1
        return connect(self._path)

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing of ours to end."""


def open_file(folder: str, name: str) -> int:
    """A new file of the scratch folder, to be passed to the server."""
    return os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
