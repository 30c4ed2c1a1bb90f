"""The qtest server's place behind a stream, and its log of requests [R], answers [S] and connections [I]."""

from __future__ import annotations

import sys
import time

from qmpemu.machine.qtest import Qtest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from qmpemu.edge.emulator import Emulator
    from qmpemu.edge.streams import Stream


class QtestFront:
    """A qtest server."""

    def __init__(self, emulator: Emulator, stream: Stream, log: str | None) -> None:
        self._emulator = emulator
        self._stream = stream
        self._log = _open_log(log)
        self._opened_s = 0.0
        self._server = Qtest(emulator.vm.machine, self._send, lambda line: self._note("R", line))

    def connected(self) -> None:
        """A test came."""
        self._opened_s = time.monotonic()
        self._server.open()
        self._note("I", "OPENED")

    def received(self, data: bytes, fds: list[int]) -> None:
        """Run the requests in `data`; descriptors mean nothing here."""
        emulator = self._emulator
        for fd in fds:
            emulator.vm.host.close_fd(fd)
        emulator.timekeeper.sync()
        self._server.receive(data)
        emulator.turn_done()

    def drained(self) -> None:
        """Nothing waits for room here."""

    def disconnected(self) -> None:
        """The test left."""
        self._note("I", "CLOSED")

    def _send(self, line: str) -> None:
        self._note("S", line)
        self._stream.send(line.encode("latin-1") + b"\n")

    def _note(self, kind: str, line: str) -> None:
        if self._log is not None:
            since_s = time.monotonic() - self._opened_s
            print(f"[{kind} +{since_s:.6f}] {line}", file=self._log, flush=True)


def _open_log(path: str | None) -> TextIO | None:
    """Standard error without -qtest-log; nothing for `none` and, as in QEMU, where it cannot be written."""
    if path is None:
        return sys.stderr
    if path == "none":
        return None
    try:
        return open(path, "w", encoding="utf-8")
    except OSError:
        return None
