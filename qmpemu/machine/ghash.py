"""The order in which QEMU walks its named children: that of GLib's string hash table.

QEMU keeps the children of an object in a GHashTable and lists them as it finds them, so `query-chardev` and
`qom-list` show an order that looks random and is not. Measured against the real one with hundreds of names
(tests/machine/test_ghash.py).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST_SHIFT = 3
MODULI = (1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521)
"""The largest prime below each power of two: what a hash is reduced by before it is masked."""


def walked(names: Iterable[str]) -> list[str]:
    """`names`, inserted in this order, as the table is walked."""
    table = Table()
    for name in names:
        table.insert(name)
    return [name for name in table.slots if name is not None]


def listed(names: Iterable[str]) -> list[str]:
    """`names` as QEMU's lists show them: built from the end while it walks."""
    return walked(names)[::-1]


REMOVED = ""
"""Stands where a name was taken out: a later search goes on behind it."""


class Table:
    """Open addressing with a growing step. slots: a name, REMOVED, or None."""

    __slots__ = ("_count", "_occupied", "_shift", "slots")

    def __init__(self) -> None:
        self._shift = LEAST_SHIFT
        self._count = 0
        self._occupied = 0
        self.slots: list[str | None] = [None] * (1 << LEAST_SHIFT)

    def names(self) -> list[str]:
        """All names as a list of QEMU shows them: built from the end while it walks."""
        return [name for name in reversed(self.slots) if name]

    def insert(self, name: str) -> None:
        """Put a name in, and grow when no slot is left."""
        slot, step = self._home(name), 0
        free: int | None = None
        while self.slots[slot] is not None:
            if self.slots[slot] == name:
                return
            if free is None and self.slots[slot] == REMOVED:
                free = slot
            step += 1
            slot = (slot + step) & (len(self.slots) - 1)
        self._count += 1
        if free is not None:
            self.slots[free] = name
            return
        self.slots[slot] = name
        self._occupied += 1
        self._fit()

    def remove(self, name: str) -> None:
        """Take a name out, and shrink when few are left."""
        if name in self.slots:
            self.slots[self.slots.index(name)] = REMOVED
            self._count -= 1
            self._fit()

    def _fit(self) -> None:
        size = len(self.slots)
        if (
            size > self._count * 4 and size > 1 << LEAST_SHIFT
        ) or size <= self._occupied + self._occupied // 16:
            self._resize()

    def _home(self, name: str) -> int:
        return max(string_hash(name), 2) * 11 % 2**32 % MODULI[self._shift]

    def _resize(self) -> None:
        """Rehash in place: each name evicts the not yet moved one that stands where it belongs."""
        self._shift = max(LEAST_SHIFT, int(self._count * 1.333).bit_length())
        self._occupied = self._count
        size = 1 << self._shift
        old = len(self.slots)
        self.slots += [None] * (size - old)
        moved: set[int] = set()
        for slot in range(old):
            name = self.slots[slot]
            if name is None or slot in moved:
                continue
            self.slots[slot] = None
            while name:
                target, step = self._home(name), 0
                while target in moved:
                    step += 1
                    target = (target + step) & (size - 1)
                moved.add(target)
                name, self.slots[target] = self.slots[target], name
        del self.slots[size:]


def string_hash(name: str) -> int:
    """GLib's g_str_hash: Bernstein's, over signed bytes, in 32 bits."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + (byte if byte < 128 else byte - 256)) & 0xFFFFFFFF
    return value
