"""A human monitor behind a stream: what a terminal, `socat` or a script on a socket speaks with."""

from __future__ import annotations

from qmpemu.edge.emulator import SessionFront

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.emulator import Emulator
    from qmpemu.edge.streams import Stream
    from qmpemu.hmp.session import HumanSession


class HumanFront(SessionFront):
    """A human monitor's session behind a stream."""

    def __init__(self, emulator: Emulator, stream: Stream, session: HumanSession) -> None:
        super().__init__(emulator, stream, session)
        self._person = session

    def focus(self, on: bool) -> None:
        """The keys of a terminal that several have are for this monitor, or no more."""
        self._stream.send(self._person.focus(on))
