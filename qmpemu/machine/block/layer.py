"""The block layer of one machine: its nodes and drives, and the real part of it, which is made at first need.

There before the machine: what a command line says of images is judged before anything else is made.
"""

from __future__ import annotations

from qmpemu.machine.block.graph import Blocks
from qmpemu.machine.block.names import check_root
from qmpemu.machine.block.nodes import is_simple
from qmpemu.machine.host import NeedsOpening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.facts import Bus
    from qmpemu.machine.block.store import Store
    from qmpemu.machine.host import Host


class BlockLayer:
    """objects: every user object as object-add takes it, for the real part."""

    __slots__ = ("_facts", "_objects", "_store", "blocks", "host")

    def __init__(self, host: Host, facts: Bus, objects: Callable[[], list[dict[str, object]]]) -> None:
        self.host = host
        self.blocks = Blocks(host)
        self._facts = facts
        self._objects = objects
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The real part, made at first need; nothing is started by looking at it."""
        if self._store is None:
            from qmpemu.machine.block.store import Store

            self._store = Store(self.host, self.blocks, self._facts, self._objects)
        return self._store

    def needed(self) -> Store:
        """The real part, for what it alone can do: its process starts while ours imports what talks with it."""
        if not self.store_up:
            self.host.prepare_block_backend()
        return self.store

    @property
    def store_up(self) -> bool:
        """Whether the real part runs."""
        return self._store is not None and self._store.up

    def add(self, options: dict[str, object]) -> None:
        """Add a node of -blockdev. Raises Refused or QmpError."""
        check_root(options.get("node-name"))
        if is_simple(options) and not self.store_up:
            try:
                self.blocks.add_node(options)  # without the store, whose import most starts can do without
                return
            except NeedsOpening:
                pass
        self.needed().open(options, here=False)

    def reset(self, path: str) -> None:
        """The device at that path is reset: what is on its way to its image arrives."""
        for drive in self.blocks.drives_of(path):
            if self._store is not None and drive.node is not None:
                self._store.working.pause(drive.node, times=1)

    def drain(self) -> None:
        """The machine stops: what is on its way to the images arrives."""
        if self._store is not None:
            self._store.drain()

    def close(self, *, killed: bool = False) -> None:
        """The machine is over: the images are let go of. killed: where they stand."""
        if self._store is not None:
            self._store.close(killed=killed)
        self.host.forget_block_backend()

    def leave(self) -> None:
        """The guest is gone to where the same images may be written."""
        self.blocks.locks.leave()
        if self._store is not None and self._store.up and not self._store.busy:
            self._store.close()
            self.blocks.let_go()

    def come(self) -> None:
        """The guest is here, or comes back: its images are used again. Raises Refused where somebody else has them."""
        came = self.blocks.locks.asleep
        self.blocks.locks.wake()
        if self._store is not None:
            self._store.wake()
        if came and not self.store_up:
            self.blocks.look_again()
        if self.blocks.unopened:
            self.blocks.unopened = False
            self.store.start()
