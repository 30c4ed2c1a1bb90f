"""A small event loop with asyncio's own method names, for the emulator process.

The edge is written against these eight methods of `asyncio.AbstractEventLoop`, so the same code runs on asyncio and
uvloop where a program embeds a machine. The emulator process itself uses this loop: importing asyncio alone takes
longer than real QEMU needs from exec to its first answer (facts/qmp-wire.md §16), and a process is started per VM.
"""

from __future__ import annotations

import os
import select
import time

from qmpemu.core.queues import heappop, heappush
from qmpemu.edge.sockets import SIG_BLOCK, pthread_sigmask, sigwaitinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Handle(Protocol):
        """What call_later returns."""

        def cancel(self) -> None:
            """Do not call."""

    class Loop(Protocol):
        """The subset of asyncio.AbstractEventLoop that the edge uses."""

        def add_reader(self, fd: int, callback: Callable[..., Any], /) -> object: ...
        def remove_reader(self, fd: int, /) -> bool: ...
        def add_writer(self, fd: int, callback: Callable[..., Any], /) -> object: ...
        def remove_writer(self, fd: int, /) -> bool: ...
        def call_later(self, delay: float, callback: Callable[..., Any], /) -> Handle: ...
        def call_soon(self, callback: Callable[..., Any], /) -> Handle: ...
        def stop(self) -> None: ...


class PollHandle:
    """A scheduled callback of PollLoop."""

    __slots__ = ("callback", "seq", "when")

    def __init__(self, when: float, seq: int, callback: Callable[[], object]) -> None:
        self.when = when
        self.seq = seq
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None

    def __lt__(self, other: PollHandle) -> bool:
        return (self.when, self.seq) < (other.when, other.seq)


class PollLoop:
    """epoll, timers, and signals as readable descriptors; ready I/O runs before due timers."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._writers: dict[int, Callable[[], object]] = {}
        self._timers: list[PollHandle] = []
        self._seq = 0
        self._stopping = False

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> None:
        """Call `callback` whenever `fd` can be read."""
        self._readers[fd] = callback
        try:
            self._watch(fd)
        except PermissionError:  # a file that cannot be waited for
            del self._readers[fd]
            raise

    def remove_reader(self, fd: int, /) -> bool:
        """Stop watching `fd` for reading; False if it was not watched."""
        found = self._readers.pop(fd, None) is not None
        self._watch(fd)
        return found

    def add_writer(self, fd: int, callback: Callable[[], object], /) -> None:
        """Call `callback` whenever `fd` can be written."""
        self._writers[fd] = callback
        self._watch(fd)

    def remove_writer(self, fd: int, /) -> bool:
        """Stop watching `fd` for writing; False if it was not watched."""
        found = self._writers.pop(fd, None) is not None
        self._watch(fd)
        return found

    def call_later(self, delay: float, callback: Callable[[], object], /) -> PollHandle:
        """Call `callback` after `delay` seconds."""
        handle = PollHandle(time.monotonic() + delay, self._seq, callback)
        self._seq += 1
        heappush(self._timers, handle)
        return handle

    def call_soon(self, callback: Callable[[], object], /) -> PollHandle:
        """Call `callback` in the next turn."""
        return self.call_later(0, callback)

    def stop(self) -> None:
        """Return from run_forever after this turn."""
        self._stopping = True

    def run_forever(self) -> None:
        """Serve until stop()."""
        self._stopping = False
        while not self._stopping:
            self._turn()
        self._epoll.close()

    def _turn(self) -> None:
        for fd, events in self._epoll.poll(self._patience()):
            # HUP and ERR count as readable and writable: the callback meets the error at its own read or write
            if events & ~select.EPOLLOUT and (reader := self._readers.get(fd)) is not None:
                reader()
            if events & ~select.EPOLLIN and (writer := self._writers.get(fd)) is not None:
                writer()
        now = time.monotonic()
        last = self._seq  # what a timer schedules belongs to the next turn, after its I/O
        while self._timers and self._timers[0].when <= now and self._timers[0].seq < last:
            callback = heappop(self._timers).callback
            if callback is not None:
                callback()

    def _patience(self) -> float:
        while self._timers and self._timers[0].callback is None:
            heappop(self._timers)
        return max(0.0, self._timers[0].when - time.monotonic()) if self._timers else -1

    def _watch(self, fd: int) -> None:
        mask = (select.EPOLLIN if fd in self._readers else 0) | (
            select.EPOLLOUT if fd in self._writers else 0
        )
        try:
            if mask:
                self._epoll.modify(fd, mask)
            else:
                self._epoll.unregister(fd)
        except FileNotFoundError:
            if mask:
                self._epoll.register(fd, mask)
        except OSError:
            if mask:  # already closed by its owner, who removes it after: nothing to unregister
                raise


class Signals:
    """Termination signals with their sender, as events of a loop.

    Python's signal handlers do not learn who sent a signal, and QEMU names the sender: so the signals are blocked
    and one thread waits for them with sigwaitinfo(2), which does.
    """

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers
        pthread_sigmask(SIG_BLOCK, numbers)

    def watch(self, loop: Loop, receive: Callable[[int, int], None]) -> None:
        """From now on call `receive(signal number, sender's pid)` in the loop for each signal."""
        from _thread import start_new_thread

        readable, writable = os.pipe()

        def wait() -> None:
            while True:
                info = sigwaitinfo(self._numbers)
                os.write(writable, b"%d %d\n" % (info.si_signo, info.si_pid))

        def ready() -> None:
            for line in os.read(readable, 4096).splitlines():
                number, _, pid = line.partition(b" ")
                receive(int(number), int(pid))

        loop.add_reader(readable, ready)
        start_new_thread(wait, ())
