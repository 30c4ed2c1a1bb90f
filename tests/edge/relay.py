"""A relay between two ends of a migration, which holds the bytes of one direction after so many, or cuts both."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

PIECE_BYTES = 1 << 16
THERE, BACK = 0, 1


class Relay:
    """Listens at `here` and hands each connection on to `there`, UNIX sockets both.

    limits: bytes that pass in a direction (THERE, BACK) over all connections; None for all of them.
    """

    def __init__(self, here: Path, there: Path, *limits: int | None) -> None:
        self._there = there
        self._limits = [*limits, None, None][:2]
        self.passed = [0, 0]
        self._changed = threading.Condition()
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(here))
        self._listener.listen()
        self._threads: list[threading.Thread] = []
        self._begin(self._serve)

    def await_limit(self, direction: int, patience_s: float) -> bool:
        """Whether so many bytes have passed in the direction that no more may, within the patience."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._room(direction), patience_s)

    def lift(self) -> None:
        """Let everything pass from now on."""
        with self._changed:
            self._limits = [None, None]
            self._changed.notify_all()

    def cut(self) -> None:
        """As when the network fails: both ends see the end of the connection."""
        with self._changed:
            for end in self._ends:
                _shut(end)

    def close(self) -> None:
        """Leave nothing behind."""
        _shut(self._listener)
        self._threads[0].join()
        self.cut()
        self.lift()
        for each in self._threads:
            each.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _room(self, direction: int) -> int:
        limit = self._limits[direction]
        return PIECE_BYTES if limit is None else min(PIECE_BYTES, limit - self.passed[direction])

    def _begin(self, call: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=call, args=arguments, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        while True:
            try:
                source, _ = self._listener.accept()
            except OSError:
                return
            destination = socket.socket(socket.AF_UNIX)
            destination.connect(str(self._there))
            with self._changed:
                self._ends += [source, destination]
            for direction, ends in ((THERE, (source, destination)), (BACK, (destination, source))):
                self._begin(self._carry, direction, *ends)

    def _carry(self, direction: int, giver: socket.socket, taker: socket.socket) -> None:
        """Hand on until an end is gone; what is on its way in the other direction still arrives."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._room(direction) > 0)
                    room = self._room(direction)
                data = giver.recv(room)
                if not data:
                    break
                taker.sendall(data)
                with self._changed:
                    self.passed[direction] += len(data)
                    self._changed.notify_all()
        except OSError:
            pass
        _shut(taker, socket.SHUT_WR)


def _shut(end: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        end.shutdown(how)
    except OSError:  # it is gone already
        pass
