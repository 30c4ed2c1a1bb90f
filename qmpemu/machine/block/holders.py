"""Drives in the real block layer, which knows no devices: an export that nobody can reach holds each drive's node.

    drive ─> node (graph)
    export ─> node (real block layer): in use, locked as a device locks it, not deleted while the drive is on it

Such an export moves as a device's drive does: onto the overlay of a snapshot, off an active layer that was committed.
A device also keeps others from writing, which an export does not.
"""

from __future__ import annotations

from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Drive

OWN = "qmpemu.drive"
"""How the ids of such exports begin."""
UNNAMED = "an unnamed block device (uses node '{node}' as 'root' child)"
NAMED = "block device '{drive}' (uses node '{node}' as 'root' child)"


class Holders:
    """Which drives are held there, and on which node. add, remove: of the back end."""

    def __init__(
        self,
        blocks: Blocks,
        add: Callable[[str, str, bool, Callable[[object], object]], object],
        remove: Callable[[str], object],
    ) -> None:
        self._blocks = blocks
        self._add, self._remove = add, remove
        self._held: dict[Drive, tuple[str, str]] = {}
        """Export and node."""
        self._made = 0

    def begin(self) -> None:
        """A back end has every node: hold those that drives are on."""
        self._held = {}
        self._blocks.holders = self
        self.refresh()

    def end(self) -> None:
        """The back end is gone."""
        self._blocks.holders = None
        for drive in self._held:
            drive.held = False
        self._held = {}

    def refresh(self) -> None:
        """Drives have come, gone, or got another medium."""
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

    def _hold(self, drive: Drive) -> None:
        assert drive.node is not None
        self._made += 1
        export = f"{OWN}{self._made}"
        self._held[drive] = export, drive.node.name

        def held(outcome: object) -> None:
            if self._held.get(drive, ("", ""))[0] != export:
                return
            if isinstance(outcome, QmpError):  # the drive keeps its own locks, as without a back end
                del self._held[drive]
            else:
                drive.held = True
                self._blocks.locks.refresh()

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
