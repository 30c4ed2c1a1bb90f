"""The links of a migration from here: one that carries the stream, and with multifd some that stay empty."""

from __future__ import annotations

from qmpemu.machine.migration import stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.link import Link


class Channels:
    """All of them, from the first connection to `part`. main: the one with the stream, None when there is none."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.main: Link | None = None
        self._more: list[Link] = []
        self._reader = stream.Reader()

    @property
    def greeted(self) -> bool:
        """Whether the destination has said something."""
        return self._reader.started

    @property
    def two_way(self) -> bool:
        """Whether the destination could say something."""
        return self.main is not None and self.main.two_way

    def adopt(self, link: Link) -> None:
        """Let this one carry the stream, which begins with its header."""
        self.main, self._reader = link, stream.Reader()
        link.send(stream.header())

    def heard(self, data: bytes) -> list[int]:
        """The kinds of what the destination has said. Raises StreamError."""
        return [kind for kind, _ in self._reader.feed(data)]

    def send(self, kind: int, payload: bytes = b"") -> None:
        """A section, on the stream."""
        if self.main is not None:
            self.main.send(stream.section(kind, payload))

    def open_more(self, count: int, failed: Callable[[str], object]) -> None:
        """Connect `count` further channels; failed(why) is told unless all are closed by then."""
        for number in range(count):
            self._machine.host.connect(
                self._machine.migration.address, self._machine, self._another(number, failed)
            )

    def _another(self, number: int, failed: Callable[[str], object]) -> Callable[[Link | str], None]:
        def connected(link: Link | str) -> None:
            if isinstance(link, str):
                if self.main is not None:
                    failed(link)
                return
            self._more.append(link)
            self._machine.migration.secure(link, lambda why: self._use(link, number, why, failed))

        return connected

    def _use(self, link: Link, number: int, why: str, failed: Callable[[str], object]) -> None:
        if self.main is None:
            link.close()
        elif why:
            failed(why)
        else:
            link.send(stream.EXTRA_MAGIC + bytes([number]))

    def part(self) -> None:
        """Close them all; what has been sent still arrives."""
        for link in (self.main, *self._more):
            if link is not None:
                link.close()
        self.main, self._more = None, []
