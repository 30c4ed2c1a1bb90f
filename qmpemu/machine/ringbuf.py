"""A character device of bounded memory: what a guest writes to it is read by QMP; the oldest bytes give way."""

from __future__ import annotations

from qmpemu.core.table import Refused

KINDS = ("ringbuf", "memory")
"""Its name, and the one it had before."""
DEFAULT_BYTES = 1 << 16


class RingBuffer:
    """The last `size` bytes (a power of two) that were written and not read. Raises Refused."""

    __slots__ = ("_held", "_size")

    def __init__(self, size: int) -> None:
        if size & (size - 1):
            raise Refused("size of ringbuf chardev must be power of two")
        self._size = size or DEFAULT_BYTES
        self._held = b""

    def put(self, data: bytes) -> None:
        """Append; what no longer fits is lost from the front."""
        self._held = (self._held + data)[-self._size :]

    def take(self, count: int) -> bytes:
        """Remove and return the oldest bytes, at most `count`."""
        taken, self._held = self._held[:count], self._held[count:]
        return taken
