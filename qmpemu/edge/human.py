"""A human monitor behind a stream: what a terminal, `socat` or a script on a socket speaks with."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.emulator import Emulator
    from qmpemu.edge.streams import Stream
    from qmpemu.hmp.session import HumanSession


class HumanFront:
    """A human monitor's session behind a stream."""

    def __init__(self, emulator: Emulator, stream: Stream, session: HumanSession) -> None:
        self._emulator = emulator
        self._stream = stream
        self._session = session
        session.on_unblocked = emulator.turn_done

    def connected(self) -> None:
        """Show the banner and the prompt."""
        self._session.open()
        self.deliver()

    def received(self, data: bytes, fds: list[int]) -> None:
        """Take in what was typed, run the lines that are whole, and deliver what they say."""
        emulator = self._emulator
        emulator.timekeeper.sync()
        for fd in fds:
            emulator.vm.host.close_fd(fd)
        self._session.receive(data)
        emulator.turn_done()

    def disconnected(self) -> None:
        """What was typed does not survive the client."""
        self._session.close()

    def drained(self) -> None:
        """The client has read: go on with the lines that waited."""
        self._session.resume()
        self._emulator.turn_done()

    def focus(self, on: bool) -> None:
        """The keys of a terminal that several have are for this monitor, or no more."""
        said = self._session.focus(on)
        self._stream.send(said)

    def deliver(self) -> None:
        """Send what the session has to say, and run what waited for it, as long as the client keeps reading."""
        self._stream.hold(self._session.suspended)
        self._stream.send(self._session.take())
        while self._session.paused and not self._stream.throttled:
            self._session.resume()
            self._stream.send(self._session.take())
