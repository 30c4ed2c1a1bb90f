"""What the machine needs of a real block layer: QMP commands in, results and events out, in one order."""

from __future__ import annotations

from abc import ABC, abstractmethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS_DAEMON = (
    "real block work needs qemu-storage-daemon, which is not installed (Debian package qemu-system-common)"
)
GONE = "The block back end has died"
"""What a command that it was working on fails with."""


class BlockBackend(ABC):
    """A running block layer. Results and events arrive in the order in which it said them.

    Once it has died every outstanding `done` gets a QmpError, then `died` is called; nothing follows.
    """

    @abstractmethod
    def call(self, command: str, arguments: dict[str, object], done: Callable[[object], object]) -> None:
        """Run a command of its block layer; eventually `done(return value or QmpError)`."""

    @abstractmethod
    def hold(self, export: str, node: str, writable: bool, done: Callable[[object], object]) -> None:
        """Let an export be on a node that nobody can reach; eventually `done({} or QmpError)`."""

    @abstractmethod
    def wait(self, done: Callable[[], bool]) -> None:
        """Hear what it says until `done()`, or until it has died; nothing else goes on meanwhile."""

    @abstractmethod
    def close(self) -> None:
        """End it; nothing is called any more."""

    @abstractmethod
    def kill(self) -> None:
        """End it where it stands: bitmaps that it would have stored stay marked as in use."""
