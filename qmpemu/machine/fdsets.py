"""Sets of descriptors that clients pass by `add-fd`: who keeps them, and when they go (measured on QEMU 7.2).

A descriptor goes when it was removed, or when the last client has left; but never while the machine stands still, so
that nothing is lost over a pause. A removal looks at its own set only, a client leaving at all of them; what a device
has opened by the name of its set, `/dev/fdset/N`, stays until it is removed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.host import Host


class PassedFd:
    """One descriptor of a set."""

    __slots__ = ("fd", "opaque", "removed")

    def __init__(self, fd: int, opaque: str | None) -> None:
        self.fd = fd
        self.opaque = opaque
        self.removed = False


class FdSets:
    """All sets of a machine by their id."""

    __slots__ = ("_held", "_host", "sets")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.sets: dict[int, list[PassedFd]] = {}
        self._held: set[int] = set()

    def add(self, fd: int, fdset_id: int | None, opaque: str | None) -> int:
        """Put a descriptor into a set, by default the lowest one not in use; the set's id."""
        if fdset_id is None:
            fdset_id = next(number for number in range(len(self.sets) + 1) if number not in self.sets)
        self.sets.setdefault(fdset_id, []).append(PassedFd(fd, opaque))
        return fdset_id

    def hold(self, fdset_id: int) -> None:
        """A device has opened a descriptor of the set."""
        self._held.add(fdset_id)

    def remove(self, fdset_id: int, fd: int | None, *, running: bool) -> bool:
        """Mark one descriptor of a set, or all; False if there is none."""
        marked = [each for each in self.sets.get(fdset_id, ()) if fd is None or each.fd == fd]
        for each in marked:
            each.removed = True
        if marked and running:
            self._clean(fdset_id, everything=False)
        return bool(marked)

    def last_client_left(self, *, running: bool) -> None:
        """Nobody is connected any more who could use them."""
        if running:
            for fdset_id in list(self.sets):
                self._clean(fdset_id, everything=fdset_id not in self._held)

    def _clean(self, fdset_id: int, *, everything: bool) -> None:
        kept = []
        for each in self.sets[fdset_id]:
            if everything or each.removed:
                self._host.close_fd(each.fd)
            else:
                kept.append(each)
        if kept:
            self.sets[fdset_id] = kept
        else:
            del self.sets[fdset_id]
            self._held.discard(fdset_id)
