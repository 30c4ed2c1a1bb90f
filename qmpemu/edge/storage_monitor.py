"""The storage daemon's monitor, through `qemu.qmp`, for an emulator whose loop is not asyncio's.

    StorageDaemon ──send──> QMPClient ──socket──> qemu-storage-daemon
          ^                     │
          └──────── told <──────┘   replies and events, in the order of its monitor

The client's event loop runs only in here, and only while there is something to do or to wait for, so no thread has to
be woken for a reply. Importing it takes longer than the daemon takes to start, which is why `ahead.py` does that early.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from selectors import EpollSelector
from typing import TYPE_CHECKING, Any

from qemu.qmp import Message, QMPClient, QMPError, Runstate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from selectors import SelectorKey

STEPS = 4
"""Turns of the client's loop between a command and its bytes, or between bytes and what they say."""


class StorageMonitor:
    """Commands in, what the daemon says out.

    fd: a connected socket, which is its own from now on; told: what has been said, oldest first, and None at the end.
    """

    def __init__(self, fd: int) -> None:
        self.told: deque[dict[str, Any] | None] = deque()
        self._selector = _Selector()
        self._turns = asyncio.SelectorEventLoop(self._selector)
        self._client = _Client(self._hear, self._leaves)
        self._passed = 0
        """Messages that came or left."""
        self._settled = (-1, -1)
        self._arrival: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._run(self._connect(socket.socket(fileno=fd)))

    def fileno(self) -> int:
        """Readable while there is something to do for `advance`."""
        return self._selector.fileno()

    def send(self, command: str, arguments: dict[str, object]) -> None:
        """Queue a command, which leaves with the next `advance` or `wait`."""
        message = Message({"execute": command, **({"arguments": arguments} if arguments else {})})
        self._start(self._execute(message))

    def advance(self) -> None:
        """Send and hear what can be without waiting."""
        self._settled = (-1, -1)
        while self._settled != self._seen:  # a loop reads once more as it stops
            self._run(self._settle())

    def wait(self, timeout_s: float | None = None) -> None:
        """Until something has been told, or for `timeout_s`."""
        if not self.told:
            self._run(self._arrive(timeout_s))
            self.advance()  # what has been read beside it would wake nobody

    def close(self) -> None:
        """Hang up."""
        self._run(self._part())
        self._turns.close()

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._turns.run_until_complete(what)
            return
        # the emulator is on asyncio itself (`qmpemu run`), and a thread runs one loop at a time
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._turns.run_until_complete, what).result()

    def _start(self, what: Coroutine[Any, Any, None]) -> None:
        task = self._turns.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sock: socket.socket) -> None:
        with suppress(QMPError):  # it has died already
            await self._client.connect(sock)
        self._start(self._hang_up())

    async def _hang_up(self) -> None:
        """Wait for the end of the connection, and say so."""
        while self._client.runstate == Runstate.RUNNING:
            await self._client.runstate_changed()
        self._hear(None)

    async def _execute(self, message: Message) -> None:
        with suppress(QMPError):  # whatever comes of it has been heard
            await self._client.execute_msg(message)

    async def _settle(self) -> None:
        """Turn until nothing has been read, told or sent for so long: what has been read wakes nobody again."""
        self._settled = (-1, -1)
        while self._settled != self._seen:
            self._settled = self._seen
            for _ in range(STEPS):
                await asyncio.sleep(0)

    @property
    def _seen(self) -> tuple[int, int]:
        return self._passed, self._selector.found

    async def _arrive(self, timeout_s: float | None) -> None:
        self._arrival = self._turns.create_future()
        await asyncio.wait([self._arrival], timeout=timeout_s)
        self._arrival = None

    async def _part(self) -> None:
        with suppress(QMPError, EOFError, OSError):
            await self._client.disconnect()
        for task in list(self._tasks):
            await task

    def _hear(self, message: dict[str, Any] | None) -> None:
        self._passed += 1
        self.told.append(message)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _leaves(self) -> None:
        self._passed += 1


class _Selector(EpollSelector):
    """It counts what it has found to be readable or writable."""

    found = 0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """As ever."""
        ready = super().select(timeout)
        self.found += len(ready)
        return ready


class _Client(QMPClient):
    """It tells of every message in the order in which they come, where `execute` and `events` are apart."""

    def __init__(self, hear: Callable[[dict[str, Any]], object], leaves: Callable[[], object]) -> None:
        super().__init__()
        self.negotiate = False  # it would ask for out-of-band commands, which overtake others
        self._hear, self._leaves = hear, leaves

    def _cb_inbound(self, msg: Message) -> Message:
        self._hear(dict(msg))
        return msg

    def _cb_outbound(self, msg: Message) -> Message:
        self._leaves()
        return msg  # without writing it out for a log that nobody reads
