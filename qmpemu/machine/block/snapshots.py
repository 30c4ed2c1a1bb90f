"""Internal snapshots: savevm, loadvm, delvm, info snapshots (qcow2 images, and the state of the guest beside them).

savevm ── every writable disk ──> snapshot in each image (block back end), guest's state ──> IMAGE.TAG.qmpemu-vm
loadvm ── images go back (qemu-img: the back end has no command for it) ──> the guest lives from its state again

The images know their snapshots as those of the real QEMU; VM SIZE is 0 there, since the state lies beside them.
Orders and texts: measured on QEMU 7.2.
"""

from __future__ import annotations

from json import dumps, loads

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.machine import Machine

NO_PLACE = "no block device can store vmstate for snapshot"
HEAD = f"{'ID':<10}{'TAG':<17}{'VM SIZE':>8}{'DATE':>20}{'VM CLOCK':>13}{'ICOUNT':>11}\r\n"
KIB = 1024


class Snapshots:
    """The snapshots of a machine. Its methods raise Refused or QmpError, with QEMU's texts."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def save(self, tag: str | None) -> None:
        """Take one of all disks and the guest; one of that name is replaced."""
        from qmpemu.machine.migration import state

        machine = self._machine
        nodes = self._disks()
        tag = tag or "vm-" + machine.host.local_time(machine.wall_ns() // NS_PER_S).translate(PLAIN)
        state.must_travel(machine)
        machine.board.save_stops()
        try:
            self.delete(tag)
            machine.migration.into_snapshot()
            data = dumps({**state.capture(machine), "runstate": machine.board.runstate}).encode()
            machine.host.save_vm_state(nodes[0].path, tag, data)
            for node in nodes:
                self._do("blockdev-snapshot-internal-sync", {"device": node.name, "name": tag})
        finally:
            machine.board.save_ends()

    def load(self, tag: str) -> None:
        """Go back to one. A machine that ran and cannot stands still."""
        from qmpemu.machine.migration import state

        machine = self._machine
        ran = machine.board.load_stops()
        nodes = self._disks()
        if any(tag not in self._known(node) for node in nodes):
            raise Refused(f"Snapshot '{tag}' does not exist in one or more devices")
        data = machine.host.load_vm_state(nodes[0].path, tag)
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
        state.restore(machine, loads(data), machine.board.runstate)
        if ran:
            machine.board.cont()

    def delete(self, tag: str) -> None:
        """Forget one, where it is; one that is nowhere is no error."""
        nodes = self._disks()
        for node in nodes:
            if tag in self._known(node):
                self._do("blockdev-snapshot-delete-internal-sync", {"device": node.name, "name": tag})
        self._machine.host.save_vm_state(nodes[0].path, tag, None)

    def listing(self) -> str:
        """As `info snapshots` shows them."""
        nodes = self._disks()
        rows = [
            row
            for name, row in self._known(nodes[0]).items()
            if all(name in self._known(n) for n in nodes[1:])
        ]
        if not rows:
            return "There is no snapshot available.\r\n"
        return f"List of snapshots present on all disks:\r\n{HEAD}" + "".join(
            self._row(nodes[0].path, row) for row in rows
        )

    def _row(self, path: str, row: dict[str, Any]) -> str:
        name = str(row["name"])
        data = self._machine.host.load_vm_state(path, name)
        clock_ms = 0 if data is None else loads(data)["now_ns"] // NS_PER_MS
        seconds, ms = divmod(clock_ms, 1000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
        date = self._machine.host.local_time(int(row["date-sec"]))
        return f"{'--':<9} {name:<16} {_size(len(data or b'')):>8}{date:>20}{clock:>13}{'':>11}\r\n"

    def _disks(self) -> list[Node]:
        """Nodes that are part of a snapshot: writable ones that a device has, or that nothing is over."""
        blocks = self._machine.blocks
        used = [drive.node for drive in blocks.drives if drive.node is not None]
        under = {below.name for node in blocks.nodes.values() for below in (node.file, node.backing) if below}
        nodes = [
            node
            for node in blocks.nodes.values()
            if not node.read_only and (node in used or node.name not in under)
        ]
        for node in nodes:
            if node.driver != "qcow2":
                raise Refused(f"Device '{node.name}' is writable but does not support snapshots")
        if not nodes:
            raise Refused(NO_PLACE)
        return nodes

    def _known(self, node: Node) -> dict[str, dict[str, Any]]:
        """The snapshots in a node's image, by name."""
        rows: Any = self._do("query-named-block-nodes", {"flat": True})
        image: dict[str, Any] = next((each["image"] for each in rows if each["node-name"] == node.name), {})
        return {row["name"]: row for row in image.get("snapshots", [])}

    def _do(self, command: str, arguments: dict[str, object]) -> object:
        outcome = self._machine.store.do(command, arguments)
        if isinstance(outcome, QmpError):
            raise outcome
        return outcome


PLAIN = {ord(each): None for each in "-: "}


def _size(count: int) -> str:
    """As QEMU abbreviates sizes: three digits, then the next unit."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / KIB, unit + 1
    return f"{value:.3g} {UNITS[unit]}"


UNITS = ("B", "KiB", "MiB", "GiB")
