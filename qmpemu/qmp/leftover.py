"""Which of several unexpected members QEMU names: those not visited are left in a GLib hash table, it names the first.

Numeric recipe, measured against the real binary: `h = h * 33 + byte` from 5381; slot `h * 11 % prime`; a taken slot is
passed by steps of 1, 2, 3...; the table has 8 slots at first and is rebuilt when it is too full or too empty.
"""

from __future__ import annotations

from qmpemu.qmp.order import c_bytes, ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PRIMES = (1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093)
"""By the number of bits of the table's size."""
SMALLEST_BITS = 3
FREE, REMOVED = 0, 1
SIMULATED_MAX = 1024
"""Members up to which the table is followed; of more, the first one sent is named."""


def first_unexpected(members: dict[str, object], visited: Iterable[str]) -> str | None:
    """The member that QEMU names in `Parameter 'X' is unexpected` after having visited `visited`, in this order."""
    known = set(visited)
    rest = [name for name in members if name not in known]
    if len(rest) < 2 or len(members) > SIMULATED_MAX:
        return rest[0] if rest else None
    table = _Table()
    for name, _ in ordered(members):
        table.add(name)
    for name in visited:
        table.remove(name)
    return next(slot for slot in table.slots if isinstance(slot, str))


class _Table:
    """Slots hold a name, FREE, or REMOVED where a name was."""

    def __init__(self) -> None:
        self._bits = SMALLEST_BITS
        self.slots: list[str | int] = [FREE] * (1 << SMALLEST_BITS)
        self._used = self._names = 0

    def add(self, name: str) -> None:
        """Put `name`, which is new, into the first free slot on its way."""
        for at in self._way(name):
            if self.slots[at] == FREE:
                self.slots[at] = name
                break
        self._used += 1
        self._names += 1
        self._rebuild_if_due()

    def remove(self, name: str) -> None:
        """Take `name`, which is there, out."""
        self.slots[self.slots.index(name)] = REMOVED
        self._names -= 1
        self._rebuild_if_due()

    def _way(self, name: str) -> Iterator[int]:
        """The slots where `name` may be, in order."""
        at, step = (_hash(name) * 11 & 0xFFFFFFFF) % PRIMES[self._bits], 0
        while True:
            yield at
            step += 1
            at = (at + step) % (1 << self._bits)

    def _rebuild_if_due(self) -> None:
        size = len(self.slots)
        too_empty = size > self._names * 4 and self._bits > SMALLEST_BITS
        if too_empty or size <= self._used + self._used // 16:
            self._rebuild(size)

    def _rebuild(self, old_size: int) -> None:
        """In place: a name that is moved puts out the one in its new slot, unless that has been moved already."""
        self._bits = max(int(self._names * 1.333).bit_length(), SMALLEST_BITS)
        self._used = self._names
        slots, moved = self.slots, set[int]()
        slots += [FREE] * ((1 << self._bits) - old_size)
        for old in range(old_size):
            if old in moved:
                continue
            moving, slots[old] = slots[old], FREE
            while isinstance(moving, str):
                at = next(at for at in self._way(moving) if at not in moved)
                moved.add(at)
                moving, slots[at] = slots[at], moving
        del slots[1 << self._bits :]


def _hash(name: str) -> int:
    value = 5381
    for byte in c_bytes(name):
        value = (value * 33 + (byte if byte < 0x80 else byte - 0x100)) & 0xFFFFFFFF
    return value
