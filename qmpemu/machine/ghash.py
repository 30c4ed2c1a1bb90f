"""The order in which QEMU walks its named children: that of GLib's string hash table.

QEMU keeps the children of an object in a GHashTable and lists them as it finds them, so `query-chardev` and
`qom-list` show an order that looks random and is not. Measured against the real one with hundreds of names
(tests/machine/test_ghash.py); only insertions are modelled, in their order.
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
    table = _Table()
    for name in names:
        table.insert(name)
    return [name for name in table.slots if name is not None]


def listed(names: Iterable[str]) -> list[str]:
    """`names` as QEMU's lists show them: built from the end while it walks."""
    return walked(names)[::-1]


class _Table:
    """Open addressing with a growing step. slots: a name or None."""

    __slots__ = ("_count", "_shift", "slots")

    def __init__(self) -> None:
        self._shift = LEAST_SHIFT
        self._count = 0
        self.slots: list[str | None] = [None] * (1 << LEAST_SHIFT)

    def insert(self, name: str) -> None:
        """Put a name in, and grow when no slot is left."""
        slot, step = self._home(name), 0
        while self.slots[slot] is not None:
            if self.slots[slot] == name:
                return
            step += 1
            slot = (slot + step) & (len(self.slots) - 1)
        self.slots[slot] = name
        self._count += 1
        if len(self.slots) <= self._count + self._count // 16:
            self._grow()

    def _home(self, name: str) -> int:
        return max(string_hash(name), 2) * 11 % 2**32 % MODULI[self._shift]

    def _grow(self) -> None:
        """Rehash in place: each name evicts the not yet moved one that stands where it belongs."""
        self._shift = max(LEAST_SHIFT, int(self._count * 1.333).bit_length())
        old = len(self.slots)
        self.slots += [None] * ((1 << self._shift) - old)
        moved: set[int] = set()
        for slot in range(old):
            name = self.slots[slot]
            if name is None or slot in moved:
                continue
            self.slots[slot] = None
            while name is not None:
                target, step = self._home(name), 0
                while target in moved:
                    step += 1
                    target = (target + step) & (len(self.slots) - 1)
                moved.add(target)
                name, self.slots[target] = self.slots[target], name


def string_hash(name: str) -> int:
    """GLib's g_str_hash: Bernstein's, over signed bytes, in 32 bits."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + (byte if byte < 128 else byte - 256)) & 0xFFFFFFFF
    return value
