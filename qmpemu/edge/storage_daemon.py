"""A real block layer: one qemu-storage-daemon, child of this process, over a socket that nobody else can reach.

    loop ──call──> socket ──QMP──> qemu-storage-daemon
     ^                │
     └── deque <──────┘   results and events, in the order of its monitor (facts: storage-daemon)

The kernel kills the daemon when this process ends, however it ends (PR_SET_PDEATHSIG).

Not through `qemu.qmp`: importing it takes 45 ms, more than QEMU needs for a whole first snapshot, and a reply that goes
through its thread comes 1 ms later. Nothing has to be negotiated or guarded against here: the peer is our own.
"""

from __future__ import annotations

import os
from collections import deque
from select import select
from time import monotonic

from qmpemu.core.table import Refused
from qmpemu.edge.sockets import SIG_SETMASK, SIGKILL, pthread_sigmask, socketpair
from qmpemu.machine.block.backend import GONE, NEEDS_DAEMON, BlockBackend
from qmpemu.qmp.encode import encode
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.lexer import Lexer
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.edge.loop import Loop
    from qmpemu.edge.sockets import socket

PROGRAM = "qemu-storage-daemon"
PR_SET_PDEATHSIG = 1
MONITOR_FD = 3
"""Where the daemon finds its end of the socket."""
FD_MAX = 1 << 20
READ_BYTES = 1 << 16
GOODBYE_S = 2.0
"""How long the daemon may take to close its images before it is killed."""


class StorageDaemon(BlockBackend):
    """The daemon and the talk with it. Raises Refused where it is not installed."""

    def __init__(
        self,
        loop: Loop,
        event: Callable[[str, dict[str, object]], object],
        died: Callable[[], object],
        begin_turn: Callable[[], object],
        end_turn: Callable[[], object],
    ) -> None:
        program = _found(PROGRAM)
        self._loop = loop
        self._event, self._died = event, died
        self._begin_turn, self._end_turn = begin_turn, end_turn
        self._lexer = Lexer()
        self._half_read = b""
        self._told: deque[dict[str, Any] | None] = deque()
        """What it has said and nobody has been told yet; None is the end."""
        self._outstanding: deque[Callable[[object], object]] = deque()
        self._socket, theirs = socketpair()
        self._open = True
        self._pid = _spawn(program, theirs)
        theirs.close()
        loop.add_reader(self._socket.fileno(), self._ready)
        self.call("qmp_capabilities", {}, bool)

    def call(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        """Send a command; it is run after those before it."""
        self._outstanding.append(done)
        self._send(command, arguments)

    def close(self) -> None:
        """Let the daemon end its jobs, which it tells, close its images and end."""
        self._send("quit", {})
        self._hear_out()
        self._forget()
        self._reap()

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the loop wait, within the turn that it is in."""
        while not done() and self._open:
            if not self._told:
                self._receive()
            self._pass_on()

    def _send(self, command: str, arguments: dict[str, object]) -> None:
        message = as_inserted({"execute": command, "arguments": arguments})  # so encoded, it is put in as it was here
        try:
            self._socket.sendall(encode(message))
        except OSError:
            pass  # it has died, which is read as the end

    def _receive(self) -> None:
        """Wait for what it says next."""
        try:
            data = self._socket.recv(READ_BYTES)
        except ConnectionError:
            data = b""
        *lines, self._half_read = (self._half_read + data).split(b"\r\n")
        for line in lines:
            self._told.extend(self._lexer.feed(line))  # type: ignore[arg-type]  # QMP has objects only
        if not data:
            self._told.append(None)

    def _ready(self) -> None:
        self._receive()
        self._begin_turn()
        self._pass_on()
        self._end_turn()

    def _pass_on(self) -> None:
        while self._told:
            message = self._told.popleft()
            if message is None:
                self._end()
            elif "event" in message:
                self._event(message["event"], _data(message))
            elif "QMP" not in message:
                self._outstanding.popleft()(_outcome(message))

    def _hear_out(self) -> None:
        """Pass on the events that it tells until it has parted, for as long as a goodbye may take."""
        deadline_s = monotonic() + GOODBYE_S
        while True:
            while self._told:
                message = self._told.popleft()
                if message is None:
                    return
                if "event" in message:
                    self._event(message["event"], _data(message))
            if not select([self._socket], [], [], max(0, deadline_s - monotonic()))[0]:
                return
            self._receive()

    def _end(self) -> None:
        """It has died: whoever waits hears so, and then the machine."""
        self._forget()
        self._reap()
        outstanding = list(self._outstanding)
        self._outstanding.clear()
        self._died()
        for done in outstanding:
            done(QmpError(GONE))

    def _forget(self) -> None:
        self._open = False
        self._loop.remove_reader(self._socket.fileno())
        self._told.clear()
        self._socket.close()

    def _reap(self) -> None:
        """What it had to close it has closed, or it has had its time."""
        os.kill(self._pid, SIGKILL)
        os.waitpid(self._pid, 0)


def _data(message: dict[str, Any]) -> dict[str, object]:
    return {name: as_inserted(value) for name, value in reversed(message.get("data", {}).items())}


def _outcome(message: dict[str, Any]) -> object:
    error = message.get("error")
    return as_inserted(message["return"]) if error is None else QmpError(error["desc"], error["class"])


def _found(name: str) -> str:
    """The program on the PATH. Raises Refused."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    raise Refused(NEEDS_DAEMON)


def _spawn(program: str, sock: socket) -> int:
    """Start the daemon with its monitor on `sock`, told to die with this process; its process id.

    By hand: importing `subprocess` costs 15 ms, more than the daemon needs until it greets.
    """
    from ctypes import CDLL

    prctl, parent = CDLL(None).prctl, os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        pthread_sigmask(SIG_SETMASK, ())
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(sock.fileno(), MONITOR_FD)
        os.set_inheritable(MONITOR_FD, True)
        os.closerange(MONITOR_FD + 1, FD_MAX)
        if os.getppid() == parent:
            os.execv(program, [program, "--chardev", f"socket,id=c,fd={MONITOR_FD}", "--monitor", "chardev=c"])
    finally:
        os._exit(1)
