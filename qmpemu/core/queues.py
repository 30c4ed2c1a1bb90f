"""Queues: `deque` and the heap, from the C modules below `collections` and `heapq`.

Those two import `operator`, `keyword`, `reprlib` and each other's helpers: 2 ms of a start that should be answered as
fast as QEMU's. What is not on its way imports them as everybody does.
"""

from __future__ import annotations

from _heapq import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque

__all__ = ["deque", "heappop", "heappush"]
