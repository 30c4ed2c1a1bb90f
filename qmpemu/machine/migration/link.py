"""What a migration needs of the host: a link for bytes, and a place where links arrive (the edge has real ones)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Link:
    """Bytes to a peer and, where `two_way`, back. Callbacks come from the host's loop, never from inside a call."""

    two_way = False

    def __init__(self) -> None:
        self.on_data: Callable[[bytes], object] = _ignore
        self.on_end: Callable[[str], object] = _ignore
        """The peer is gone: on_end(why), "" for an ordinary end of file."""
        self.on_drained: Callable[[], object] = _ignore
        """Everything sent so far has left this process."""

    def secure(self, server: bool, hostname: str, tell: Callable[[str], object]) -> None:
        """Speak TLS from now on, with the credentials of the migration parameters.

        tell("") once the peer is known to be the right one, or why it is not, or why there is no TLS to be had.
        """
        tell("this link cannot carry TLS")

    def send(self, data: bytes) -> None:
        """Send `data`, now or as soon as there is room."""

    def close(self) -> None:
        """Part from the peer; what has been sent still arrives. Nothing is called back any more."""


class Listener:
    """Waits for links. addresses: rows of query-migrate's socket-address."""

    def __init__(self) -> None:
        self.addresses: list[dict[str, object]] = []

    def close(self) -> None:
        """No more links."""


def _ignore(*_: object) -> None:
    """Nobody listens."""
