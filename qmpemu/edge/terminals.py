"""Terminals as character devices: the one the process was started on, and pseudo terminals.

StdioStream   raw while the machine runs, as it was found afterwards
PtyStream     somebody is there as long as somebody has the other end open; looked for once a second (measured)
"""

from __future__ import annotations

import os
import select
import termios
from tty import setraw

from qmpemu.edge.streams import READ_BYTES, FdStream, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.edge.loop import Handle, Loop

LOOK_AFTER_S = 1.0


class StdioStream(FdStream):
    """Standard input and output. signals: whether the terminal's interrupt key still ends the process."""

    def __init__(self, loop: Loop, *, signals: bool) -> None:
        super().__init__(loop, 0, 1)
        self._blocking = [(fd, os.get_blocking(fd)) for fd in (0, 1)]
        self._found: list[Any] | None = None
        if os.isatty(0):
            self._found = termios.tcgetattr(0)
            termios.tcsetattr(0, termios.TCSANOW, _raw(self._found, signals))

    def cook(self) -> None:
        """Let the terminal echo and edit lines again."""
        if self._found is not None:
            termios.tcsetattr(0, termios.TCSANOW, self._found)

    def finish(self) -> None:
        """All that was said goes out, and waits for whoever reads it: as by the real one, which always waits."""
        os.set_blocking(1, True)
        super().finish()

    def close(self) -> None:
        """Leave the terminal as it was found: others have it open."""
        self.remove()

    def remove(self) -> None:
        """The same, of a process that ends before it serves."""
        self.cook()
        for fd, blocking in self._blocking:
            os.set_blocking(fd, blocking)


def _raw(found: list[Any], signals: bool) -> list[Any]:
    iflag, oflag, cflag, lflag, in_speed, out_speed, characters = found
    iflag &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN)
    if not signals:
        lflag &= ~termios.ISIG
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag | termios.OPOST, cflag, lflag, in_speed, out_speed, characters]


class PtyStream(Stream):
    """A pseudo terminal of our own. What is said while nobody has it open is lost."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self._fd, terminal = os.openpty()
        setraw(terminal)  # else what the machine says would come back to it as an echo
        self.name = os.ttyname(terminal)
        os.close(terminal)
        os.set_inheritable(self._fd, False)
        os.set_blocking(self._fd, False)
        self.address = f"pty:{self.name}"
        self._there = False
        self._alarm: Handle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether somebody has the terminal open."""
        return self._there

    def start(self) -> None:
        """Begin to look for somebody."""
        self._look()

    def send(self, data: bytes) -> None:
        """Say something to whoever is there."""
        if data and not self._there:
            self._notice()
        super().send(data)

    def close(self) -> None:
        """Release the terminal."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.loop.remove_reader(self._fd)
        self.loop.remove_writer(self._fd)
        os.close(self._fd)
        self._there = False

    def _look(self) -> None:
        self._alarm = None
        if not self._there:
            self._notice()
        if not self._there:
            self._alarm = self.loop.call_later(LOOK_AFTER_S, self._look)

    def _notice(self) -> None:
        """See whether somebody is there now."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if any(events & select.POLLHUP for _, events in poll.poll(0)):
            return
        self._there = True
        self._start_reading()
        if self.front is not None:
            self.front.connected()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._deliver(data, [])
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        if not self._there:
            return
        self._there = False
        self._unsent.clear()
        self.loop.remove_reader(self._fd)
        self.loop.remove_writer(self._fd)
        if self.front is not None:
            self.front.disconnected()
        if not self._closing:
            self._alarm = self.loop.call_later(LOOK_AFTER_S, self._look)

    def _out_fd(self) -> int:
        return self._fd

    def _write(self, data: bytearray) -> int:
        return os.write(self._fd, data)

    def _start_reading(self) -> None:
        self.loop.add_reader(self._fd, self._readable)

    def _stop_reading(self) -> None:
        self.loop.remove_reader(self._fd)
