"""Memory as a test over qtest sees it: what was written reads back, all else is zero. The guest does not use it.

Pages come to be when something other than zero is written to them, and there are no more than the machine has.
"""

from __future__ import annotations

PAGE_BYTES = 4096
EMPTY = bytes(PAGE_BYTES)


class Ram:
    """`size_bytes` of memory from address 0; beyond it reads give zero and writes go nowhere."""

    __slots__ = ("_pages", "_size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._pages: dict[int, bytearray] = {}

    def read(self, at: int, length: int) -> bytes:
        """`length` bytes from address `at`."""
        parts = []
        while length > 0:
            page, offset = divmod(at, PAGE_BYTES)
            part = self._pages.get(page, EMPTY)[offset : offset + length]
            parts.append(bytes(part))
            at += len(part)
            length -= len(part)
        return b"".join(parts)

    def write(self, at: int, data: bytes) -> None:
        """Store `data` from address `at` on."""
        done, length = 0, min(len(data), max(0, self._size_bytes - at))
        while done < length:
            page, offset = divmod(at, PAGE_BYTES)
            part = data[done : min(length, done + PAGE_BYTES - offset)]
            done += len(part)
            if page in self._pages or any(part):
                stored = self._pages.setdefault(page, bytearray(PAGE_BYTES))
                stored[offset : offset + len(part)] = part
            at += len(part)
