"""Drives in the real block layer, which knows no devices: an export that nobody can reach holds each drive's node.

    drive ─> node (graph)
    export ─> node (real block layer): in use, locked as a device locks it, not deleted while the drive is on it

Such an export moves as a device's drive does: onto the overlay of a snapshot, off an active layer that was committed.
A device also keeps others from writing, which an export does not.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.device_rules import writes
from qmpemu.machine.block.guards import GUARD, NAMED, USED, guard
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Drive, Node
    from qmpemu.machine.block.working import Working

KEEP = "qmpemu.keep."
OWN = "qmpemu.drive"
"""How the ids of such exports begin."""
UNNAMED = "an unnamed block device (uses node '{node}' as 'root' child)"


class Holders:
    """Which drives are held there, and on which node.

    add, remove: a holder of the back end; do: run a command of its and wait; send: without waiting.
    """

    def __init__(
        self,
        blocks: Blocks,
        add: Callable[[str, str, bool, Callable[[object], object]], object],
        remove: Callable[[str], object],
        do: Callable[[str, dict[str, object]], object],
        send: Callable[[str, dict[str, object], Callable[[object], object]], object],
        working: Working,
    ) -> None:
        self._working = working
        self.await_copies: Callable[[], object] = bool
        """Until it is known what jobs that copy have opened."""
        self._do, self._send = do, send
        self._guards: dict[str, tuple[str, str]] = {}
        """Drive and node by guard; also of those that are gone, of which jobs may still tell."""
        self._busy = False
        self._pending: set[str] = set()
        """Exports that are about to be."""
        self._blocks = blocks
        self._add, self._remove = add, remove
        self._held: dict[Drive, tuple[str, str]] = {}
        """Export and node."""
        self._made = 0

    def begin(self) -> None:
        """A back end has every node: hold those that drives are on."""
        self._held = {}
        self._pending = set()
        self._blocks.holders = self
        self.refresh()

    def end(self) -> None:
        """The back end is gone."""
        self._blocks.holders = None
        for drive in self._blocks.drives:
            drive.held = False
        self._held, self._pending, self._busy = {}, set(), False

    @property
    def settled(self) -> bool:
        """Whether every holder is there."""
        return not self._pending

    def check(self, drive: Drive) -> None:
        """Whether a device could be put on the drive's node. Raises Refused."""
        assert drive.node is not None
        name = self._guard(drive)
        outcome = self._do("blockdev-add", guard(name, drive))
        if not isinstance(outcome, QmpError):
            self._do("blockdev-del", {"node-name": name})
            if self._working.kind(drive.node) in (None, "commit") or not self._is_beside(drive):
                self._working.pause(drive.node, times=1)
                return  # a commit leaves writing to others
        self._working.pause(drive.node, times=2)  # as it comes, and as it goes
        if isinstance(outcome, QmpError):
            raise Refused(self.worded(outcome.desc))
        raise self._working.refuse_writer(drive.node, drive.qdev)

    def _is_beside(self, drive: Drive) -> bool:
        """Whether it would write beside one that leaves this to nobody else."""
        would = drive.node is not None and writes(drive.node, drive.driver)
        return would and any(each.node is drive.node and not each.shares for each in self._blocks.drives)

    def works_on(self, node: Node) -> bool:
        """Whether a job's filter is between a node and its drive."""
        return self._working.kind(node) is not None

    def check_rests(self, node: Node) -> None:
        """Whether a device that leaves no job alone may be on it. Raises Refused."""
        self._working.check_rests(node)

    def leaves(self, drive: Drive) -> None:
        """A device is about to be taken out that is emptied first."""
        if drive.node is not None and drive in self._held:
            self._working.pause(drive.node, times=1)

    def keep_others_off(self, drives: list[Drive], command: Callable[[], object]) -> None:
        """Let a command begin while drives keep others off, as devices do."""
        self._busy = True
        loose = [drive.node.name for drive in drives if drive.node and drive.node.name in self._blocks.loose]
        keeps = [self._keep(name) for name in loose]
        guards: list[str] = []
        for drive in drives:
            if drive not in self._held:
                continue
            export, _ = self._held.pop(drive)  # the drive counts as held: its guard does what the holder did
            self._remove(export)
            name = self._guard(drive)
            if not isinstance(self._do("blockdev-add", guard(name, drive)), QmpError):
                guards.append(name)
        command()
        for name in guards:
            self._send("blockdev-del", {"node-name": name}, bool)
        self._busy = False
        self.refresh()
        for name in keeps:
            self._send("blockdev-del", {"node-name": name}, bool)

    def _keep(self, node: str) -> str:
        """A node over one that would go if nothing were over it."""
        name = f"{KEEP}{node.strip('#')}"
        self._do("blockdev-add", {"driver": "blkdebug", "node-name": name, "image": node, "read-only": True})
        return name

    def _guard(self, drive: Drive) -> str:
        assert drive.node is not None
        name = f"{GUARD}{len(self._guards)}"
        self._guards[name] = drive.name or drive.qdev, drive.node.name
        return name

    def named(self, text: str) -> str:
        """The same of drives that have names, which are told in place of their nodes'."""
        if self._blocks.has_names:
            from qmpemu.machine.block import by_node

            text = by_node.worded(self._blocks, text)
        return text

    def worded(self, text: str) -> str:
        """What the real block layer says of exports and guards, as it would say it of drives."""
        if GUARD in text:
            for name, (drive, node) in self._guards.items():
                text = text.replace(USED.format(guard=name, node=node), NAMED.format(drive=drive, node=node))
            return text
        return worded(self._blocks, text)

    def refresh(self) -> None:
        """Drives have come, gone, or got another medium."""
        if self._busy:
            return
        wanted = {drive: drive.node for drive in self._blocks.drives if drive.node is not None}
        for drive, (export, node) in list(self._held.items()):
            if drive not in wanted or wanted[drive].name != node:
                del self._held[drive]
                drive.held = False
                self._remove(export)
        for drive in wanted:
            if drive not in self._held:
                self._hold(drive)

    def followed(self) -> None:
        """The real block layer has moved drives by itself, as the graph has."""
        for drive, (export, _) in self._held.items():
            if drive.node is not None:
                self._held[drive] = export, drive.node.name

    def _refresh_locks(self) -> None:
        busy, self._busy = self._busy, True  # who is held does not change with it
        try:
            self._blocks.locks.refresh()
        except Refused:
            pass  # another process was faster: that one has it
        self._busy = busy

    def _hold(self, drive: Drive) -> None:
        assert drive.node is not None
        self._made += 1
        export = f"{OWN}{self._made}"
        self._held[drive] = export, drive.node.name
        self._pending.add(export)

        def held(outcome: object) -> None:
            self._pending.discard(export)
            if self._held.get(drive, ("", ""))[0] != export:
                return
            if isinstance(outcome, QmpError):  # the drive keeps its own locks, as without a back end
                del self._held[drive]
            drive.held = drive in self._held
            self._refresh_locks()

        writes = drive.attached and not drive.node.read_only and not drive.driver.endswith("-cd")
        self._add(export, drive.node.name, writes, held)


def worded(blocks: Blocks, text: str) -> str:
    """What the real block layer says of such an export, as it would say it of the drive."""
    if "unnamed" not in text:
        return text
    for drive in blocks.drives:
        if drive.node is not None and drive.held:
            name, node = drive.name or drive.qdev, drive.node.name
            text = text.replace(UNNAMED.format(node=node), NAMED.format(drive=name, node=node), 1)
    return text
