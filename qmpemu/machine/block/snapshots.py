"""Internal snapshots (qcow2 images, and the state of the guest beside them), of all disks or of nodes that are named.

savevm ── every writable disk ──> snapshot in each image (block back end), guest's state ──> IMAGE.TAG.qmpemu-vm
loadvm ── images go back (qemu-img: the back end has no command for it) ──> the guest lives from its state again

The images know their snapshots as those of the real QEMU; VM SIZE is 0 there, since the state lies beside them.
Orders and texts: measured on QEMU 7.2.
"""

from __future__ import annotations

from json import dumps, loads

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.machine.block.holders import OWN
from qmpemu.machine.host import NeedsOpening
from qmpemu.machine.migration import sections
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.block.working import Working
    from qmpemu.machine.machine import Machine

NO_PLACE = "no block device can store vmstate for snapshot"
HAS_BITMAPS = "Device has active dirty bitmaps"
HEAD = f"{'ID':<10}{'TAG':<17}{'VM SIZE':>8}{'DATE':>20}{'VM CLOCK':>13}{'ICOUNT':>11}\r\n"
NONE = "None\r\n"
KIB = 1024


class Snapshots:
    """The snapshots of a machine. Its methods raise Refused or QmpError, with QEMU's texts."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def save(self, tag: str | None) -> None:
        """Take one of all disks and the guest; one of that name is replaced."""
        sections.must_be_movable(self._machine)
        nodes = self._disks()
        self._save(tag, nodes, nodes[0], replaces=True)

    def load(self, tag: str, *, at_start: bool = False) -> None:
        """Go back to one. A machine that ran and cannot stands still. at_start: by -loadvm, whose words are fewer."""
        ran = self._machine.board.load_stops()
        nodes = self._disks()
        self._check_there(tag, nodes)
        for node in nodes:
            if self._has_bitmaps(node):
                raise Refused(HAS_BITMAPS if at_start else self._not_loaded(tag, node))
        self._load(tag, nodes, nodes[0], ran=ran)

    def save_on(self, tag: str, vmstate: str, devices: list[str]) -> None:
        """Take one of those nodes, with the guest's state on `vmstate`; none of that name is replaced."""
        nodes = self._named(devices)
        if any(tag in self._known(node) for node in nodes):
            raise Refused(f"Snapshot '{tag}' already exists in one or more devices")
        self._save(tag, nodes, _place(nodes, vmstate), replaces=False)

    def load_on(self, tag: str, vmstate: str, devices: list[str]) -> None:
        """Take those nodes back to one, and the guest to what is on `vmstate`."""
        ran = self._machine.board.load_stops()
        nodes = self._named(devices)
        self._check_there(tag, nodes)
        for node in nodes:
            if self._has_bitmaps(node):
                raise Refused(self._not_loaded(tag, node))
        self._load(tag, nodes, _place(nodes, vmstate), ran=ran)

    def delete_on(self, tag: str, devices: list[str]) -> None:
        """Forget one of those nodes, where it is."""
        self._delete(tag, self._named(devices))

    def _save(self, tag: str | None, nodes: list[Node], place: Node, *, replaces: bool) -> None:
        from qmpemu.machine.migration import state

        machine = self._machine
        if tag is None or (replaces and not tag):
            tag = "vm-" + machine.host.local_time(machine.wall_ns() // NS_PER_S).translate(PLAIN)
        state.must_travel(machine)
        self._must_rest(nodes)
        machine.board.save_stops()
        try:
            self._do("query-jobs", {})  # from now on paths lead to the files, whatever became of their names
            if replaces:
                self._delete(tag, nodes)
            machine.migration.into_snapshot()
            data = dumps({**state.capture(machine), "runstate": machine.board.runstate}).encode()
            machine.host.save_vm_state(place.path, tag, data)
            self._take(tag, nodes, place)
        finally:
            machine.board.save_ends()

    def _take(self, tag: str, nodes: list[Node], place: Node) -> None:
        """In every image, or in none."""
        taken: list[Node] = []
        try:
            for node in nodes:
                self._do("blockdev-snapshot-internal-sync", {"device": node.name, "name": tag})
                taken.append(node)
        except QmpError:
            self._delete(tag, taken)
            self._machine.host.save_vm_state(place.path, tag, None)
            raise

    def _check_there(self, tag: str, nodes: list[Node]) -> None:
        if any(tag not in self._known(node) for node in nodes):
            raise Refused(f"Snapshot '{tag}' does not exist in one or more devices")

    def _load(self, tag: str, nodes: list[Node], place: Node, *, ran: bool) -> None:
        from qmpemu.machine.migration import state

        machine = self._machine
        data = machine.host.load_vm_state(place.path, tag)
        if data is None:
            raise Refused("This is a disk-only snapshot. Revert to it  offline using qemu-img")
        if machine.store.busy:
            raise Refused("block jobs or exports use the disks: end them first")
        machine.store.close()
        machine.blocks.locks.give()
        try:
            for node in nodes:
                machine.host.revert_image(node.path, tag)
        finally:
            machine.blocks.locks.take_back()
        machine.store.start()  # which alone shows what snapshots there are
        state.restore(machine, loads(data), machine.board.runstate)
        if ran:
            machine.board.cont()

    def delete(self, tag: str) -> None:
        """Forget one, where it is; one that is nowhere is no error."""
        self._delete(tag, self._disks())

    def _delete(self, tag: str, nodes: list[Node]) -> None:
        for node in nodes:
            if tag in self._known(node):
                self._must_rest([node])
                self._do("blockdev-snapshot-delete-internal-sync", {"device": node.name, "name": tag})
            self._machine.host.save_vm_state(node.path, tag, None)

    def names(self) -> list[str]:
        """Their ids and tags, in whatever image they are."""
        rows = [row for node in self._disks(only_able=True) for row in self._known(node).values()]
        return list(dict.fromkeys(str(row[key]) for row in rows for key in ("id", "name")))

    def listing(self) -> str:
        """As `info snapshots` shows them."""
        nodes = self._disks(only_able=True)
        known = [self._known(node) for node in nodes]
        everywhere = [row for name, row in known[0].items() if all(name in each for each in known[1:])]
        if not any(known):
            return "There is no snapshot available.\r\n"
        shown = HEAD + "".join(self._row(nodes[0].path, row, "--") for row in everywhere)
        text = f"List of snapshots present on all disks:\r\n{shown if everywhere else NONE}"
        names = {row["name"] for row in everywhere}
        for node, each in zip(nodes, known, strict=True):
            partial = [row for name, row in each.items() if name not in names]
            if partial:
                where = self._device(node)
                text += f"\r\nList of partial (non-loadable) snapshots on '{where}':\r\n{HEAD}"
                text += "".join(self._row(node.path, row, str(row["id"])) for row in partial)
        return text

    def _row(self, path: str, row: dict[str, Any], shown: str) -> str:
        name = str(row["name"])
        data = self._machine.host.load_vm_state(path, name)
        clock_ms = 0 if data is None else loads(data)["now_ns"] // NS_PER_MS
        seconds, ms = divmod(clock_ms, 1000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
        date = self._machine.host.local_time(int(row["date-sec"]))
        return f"{shown:<9} {name:<16} {_size(len(data or b'')):>8}{date:>20}{clock:>13}{row.get('icount', ''):>11}\r\n"

    def _able(self, node: Node, *, hidden: bool | None = None) -> bool:
        """Whether snapshots can be kept in it: it may be another guest's, or hidden by a backup's filter."""
        if hidden is None:
            hidden = self._working is not None and self._working.kind(node) == "backup"
        locks = self._machine.blocks.locks
        return node.driver == "qcow2" and node.name not in locks.left and not (locks.asleep or hidden)

    def _named(self, names: list[str]) -> list[Node]:
        """The nodes that a job is about, each once."""
        if not names:
            raise Refused("At least one device is required for snapshot")
        nodes = self._machine.blocks.nodes
        for name in names:
            if name not in nodes:
                raise Refused(f"No block device node '{name}'")
        found = [nodes[name] for name in dict.fromkeys(names)]
        for node in found:
            if not self._able(node, hidden=False) or node.read_only:
                raise Refused(f"Device '{node.name}' is writable but does not support snapshots")
        return found

    def _disks(self, *, only_able: bool = False) -> list[Node]:
        """Nodes that are part of a snapshot: writable ones that a device has, or that nothing is over.

        only_able: without those that can have none, for which a snapshot is refused. Raises Refused.
        """
        blocks, exported = self._machine.blocks, self._exported()  # asked first: names may come with it
        used = [drive.node for drive in blocks.drives if drive.node is not None]
        under = {below.name for node in blocks.nodes.values() for below in (node.file, node.backing) if below}
        used += [] if self._working is None else self._working.targets()
        used += exported
        alone = [node for node in blocks.nodes.values() if node.name not in under]
        nodes = [node for node in dict.fromkeys([*used, *alone]) if not node.read_only]
        if only_able:
            nodes = [node for node in nodes if self._able(node)]
        for node in nodes:
            if not self._able(node):
                working = self._working
                hidden = working is not None and working.kind(node) == "backup"
                name = self._device(node) or (working.filter(node) if working and hidden else node.name)
                raise Refused(f"Device '{name}' is writable but does not support snapshots")
        if not nodes:
            raise Refused(NO_PLACE)
        return nodes

    def _exported(self) -> list[Node]:
        """The nodes that exports are on, which are not the drives'."""
        rows: Any = self._do("query-block-exports", {}) if self._machine.store_up else []
        names = [str(row["node-name"]) for row in reversed(rows) if not row["id"].startswith(OWN)]
        return [self._machine.blocks.nodes[name] for name in names if name in self._machine.blocks.nodes]

    def _device(self, node: Node) -> str:
        """The name of the drive of the old kind that is on it."""
        return next((drive.name for drive in self._machine.blocks.drives if drive.node is node), "")

    def _has_bitmaps(self, node: Node) -> bool:
        """What they tell would be wrong of an image that goes back."""
        rows: Any = self._do("query-named-block-nodes", {"flat": True})
        return any(each.get("dirty-bitmaps") for each in rows if each["node-name"] == node.name)

    def _not_loaded(self, tag: str, node: Node) -> str:
        return f"Could not load snapshot '{tag}' on '{self._device(node) or node.name}': {HAS_BITMAPS}"

    def _known(self, node: Node) -> dict[str, dict[str, Any]]:
        """The snapshots in a node's image, by name. Where it has none, nothing is started to look for them."""
        if not self._machine.store_up and self._has_none(node):
            return {}
        rows: Any = self._do("query-named-block-nodes", {"flat": True})
        image: dict[str, Any] = next((each["image"] for each in rows if each["node-name"] == node.name), {})
        return {row["name"]: row for row in image.get("snapshots", [])}

    @property
    def _working(self) -> Working | None:
        return self._machine.store.working if self._machine.store_up and self._machine.store.works else None

    def _must_rest(self, nodes: list[Node]) -> None:
        """The real block layer takes snapshots of roots only, and a job's filter is over its disk."""
        if self._working is not None and any(self._working.kind(node) is not None for node in nodes):
            raise not_emulated("snapshot of a disk that a block job works on")

    def _has_none(self, node: Node) -> bool:
        try:
            self._machine.host.image("qcow2", node.path)
        except (OSError, NeedsOpening):
            return False  # only the real block layer can tell
        return True

    def _do(self, command: str, arguments: dict[str, object]) -> object:
        outcome = self._machine.store.do(command, arguments)
        if isinstance(outcome, QmpError):
            raise outcome
        return outcome


def _place(nodes: list[Node], name: str) -> Node:
    """The node that holds the guest's state."""
    found = next((node for node in nodes if node.name == name), None)
    if found is None:
        raise Refused(f"vmstate block device '{name}' does not exist")
    return found


PLAIN = {ord(each): None for each in "-: "}


def _size(count: int) -> str:
    """As QEMU abbreviates sizes: three digits, then the next unit."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / KIB, unit + 1
    return f"{value:.3g} {UNITS[unit]}"


UNITS = ("B", "KiB", "MiB", "GiB")
