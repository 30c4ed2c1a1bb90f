"""A real block layer: one qemu-storage-daemon, child of this process, over a socket that nobody else can reach.

    loop ──call──> thread (asyncio, qemu.qmp) ──QMP──> qemu-storage-daemon
     ^                     │
     └──── pipe, queue <───┘   results and events, in the order of its monitor (facts: storage-daemon)

The kernel kills the daemon when this process ends, however it ends (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections import deque
from select import select
from time import monotonic

from qmpemu.core.table import Refused
from qmpemu.machine.block.backend import GONE, NEEDS_DAEMON, BlockBackend
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Queue, Task
    from collections.abc import Callable
    from typing import Any

    from qmpemu.edge.loop import Loop

PROGRAM = "qemu-storage-daemon"
PR_SET_PDEATHSIG = 1
GOODBYE_S = 2.0
"""How long the daemon may take to close its images before it is killed."""


class StorageDaemon(BlockBackend):
    """The daemon and the thread that talks to it. Raises Refused where it is not installed."""

    def __init__(
        self,
        loop: Loop,
        event: Callable[[str, dict[str, object]], object],
        died: Callable[[], object],
        begin_turn: Callable[[], object],
        end_turn: Callable[[], object],
    ) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise Refused(NEEDS_DAEMON)
        self._loop = loop
        self._event, self._died = event, died
        self._begin_turn, self._end_turn = begin_turn, end_turn
        self._told: deque[dict[str, Any] | None] = deque()
        self._outstanding: deque[Callable[[object], object]] = deque()
        self._readable, self._writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        ours, theirs = socket.socketpair()
        self.process = _spawn(program, theirs)
        theirs.close()
        self._talk = Talk(ours, self._tell)
        loop.add_reader(self._readable, self._ready)
        self._talk.start()

    def call(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        """Send a command; it is run after those before it."""
        self._outstanding.append(done)
        self._talk.send({"execute": command, "arguments": arguments})

    def close(self) -> None:
        """Let the daemon end its jobs, which it tells, close its images and end."""
        self._talk.send({"execute": "quit", "arguments": {}})
        self._talk.stop()
        self._hear_out()
        self._forget()
        self.process.terminate()
        try:
            self.process.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the loop wait, within the turn that it is in."""
        while not done() and self._writable >= 0:
            select([self._readable], [], [])
            self._take()

    def _hear_out(self) -> None:
        """Pass on what the daemon tells until it has parted, for as long as a goodbye may take."""
        deadline_s = monotonic() + GOODBYE_S
        while (left_s := deadline_s - monotonic()) > 0:
            while self._told:
                message = self._told.popleft()
                if message is None:
                    return
                if "event" in message:
                    self._event(message["event"], _data(message))
            if select([self._readable], [], [], left_s)[0]:
                os.read(self._readable, 4096)

    def _tell(self, message: dict[str, Any] | None) -> None:
        """In the thread: hand a message over; None is the end."""
        self._told.append(message)
        try:
            os.write(self._writable, b".")
        except OSError:
            pass  # a full pipe wakes the loop as well, and a closed one belongs to a machine that is over

    def _ready(self) -> None:
        self._begin_turn()
        self._take()
        self._end_turn()

    def _take(self) -> None:
        os.read(self._readable, 4096)
        while self._told:
            message = self._told.popleft()
            if message is None:
                self._end()
                break
            if "event" in message:
                self._event(message["event"], _data(message))
            elif self._outstanding:
                self._outstanding.popleft()(_outcome(message))

    def _end(self) -> None:
        """It has died: whoever waits hears so, and then the machine."""
        self._forget()
        self._talk.stop()
        self.process.kill()
        self.process.wait()
        outstanding = list(self._outstanding)
        self._outstanding.clear()
        self._died()
        for done in outstanding:
            done(QmpError(GONE))

    def _forget(self) -> None:
        self._loop.remove_reader(self._readable)
        self._told.clear()
        os.close(self._readable)
        writable, self._writable = self._writable, -1
        os.close(writable)


class Talk:
    """The thread: an asyncio loop with a `qemu.qmp` client. tell(message) is called in it, in wire order."""

    def __init__(self, sock: socket.socket, tell: Callable[[dict[str, Any] | None], object]) -> None:
        self._sock = sock
        self._tell = tell
        self._waiting: deque[dict[str, object] | None] = deque()
        self._loop: AbstractEventLoop | None = None
        self._commands: Queue[dict[str, object] | None] | None = None

    def start(self) -> None:
        """Run it; the thread ends with the process, or with stop()."""
        from threading import Thread

        Thread(target=self._run, name="block", daemon=True).start()

    def send(self, message: dict[str, object]) -> None:
        """Run a command after those before it."""
        self._put(message)

    def stop(self) -> None:
        """End the thread."""
        self._put(None)

    def _put(self, message: dict[str, object] | None) -> None:
        self._waiting.append(message)
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._move)
            except RuntimeError:
                pass  # its loop has ended by itself: the daemon is gone, which has been told

    def _move(self) -> None:
        while self._waiting and self._commands is not None:
            self._commands.put_nowait(self._waiting.popleft())

    def _run(self) -> None:
        import asyncio
        import logging

        logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())
        try:
            asyncio.run(self._serve())
        except Exception:  # whatever ended the connection, the daemon is of no more use
            pass
        self._tell(None)

    async def _serve(self) -> None:
        from asyncio import Queue, create_task, get_running_loop

        from qemu.qmp import ExecuteError

        client = _client(self._tell)
        await client.connect(self._sock)
        self._commands, self._loop = Queue(), get_running_loop()
        self._move()
        gone = create_task(client.runstate_changed())
        while (message := await self._next(self._commands, gone)) is not None:
            try:
                await client.execute_msg(client.make_execute_msg(message["execute"], message["arguments"]))
            except ExecuteError:
                pass  # the reply was told as it came
        gone.cancel()
        await client.disconnect()

    @staticmethod
    async def _next(commands: Queue[dict[str, object] | None], gone: Task[Any]) -> dict[str, object] | None:
        """The next command; None at the end, which may be the daemon's own."""
        from asyncio import FIRST_COMPLETED, create_task, wait

        waiting = create_task(commands.get())
        await wait((waiting, gone), return_when=FIRST_COMPLETED)
        if gone.done():
            waiting.cancel()
            return None
        return waiting.result()


def _client(tell: Callable[[dict[str, Any] | None], object]) -> Any:
    """A QMP client that tells every event and reply as it arrives: listeners would lose the order between the two."""
    from qemu.qmp import Message, QMPClient

    class Client(QMPClient):
        """Nothing is taken out of the session's hands; it is only overheard."""

        def _cb_inbound(self, msg: Message) -> Message:
            plain = dict(msg)
            if "event" in plain or str(plain.get("id", "")).startswith("__qmp"):
                tell(plain)
            return msg

        def _cb_outbound(self, msg: Message) -> Message:
            return msg

    return Client("block")


def _data(message: dict[str, Any]) -> dict[str, object]:
    return {name: as_inserted(value) for name, value in reversed(message.get("data", {}).items())}


def _outcome(message: dict[str, Any]) -> object:
    error = message.get("error")
    return as_inserted(message["return"]) if error is None else QmpError(error["desc"], error["class"])


def _spawn(program: str, sock: socket.socket) -> subprocess.Popen[bytes]:
    """Start the daemon with its monitor on `sock`; it is told to die with this process."""
    from ctypes import CDLL

    prctl, parent = CDLL(None).prctl, os.getpid()

    def child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.getppid() != parent:
            os._exit(1)

    monitor = ["--chardev", f"socket,id=c,fd={sock.fileno()}", "--monitor", "chardev=c"]
    return subprocess.Popen(
        [program, *monitor],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(sock.fileno(),),
        preexec_fn=child,
    )
