"""Disks that fail: what the guest's next access there meets, and what the drive's policy (werror, rerror) makes of it.

operator ──> fault ──the guest accesses the disk──> policy ┬─ stop ──> BLOCK_IO_ERROR, STOP (io-error) ──cont──> again
                                                           └─ report, ignore ──> BLOCK_IO_ERROR, again later

A running Windows writes all the time: the first access comes within a second. `cont` forgets what is shown of the
error and tries again (measured on QEMU 7.2: io-status).
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.machine.runstate import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.core.clock import Timer
    from qmpemu.machine.block.nodes import Drive
    from qmpemu.machine.machine import Machine

FIRST_NS, AGAIN_NS = NS_PER_S // 2, 10 * NS_PER_S
KINDS = {
    "enospc": ("write", True, "No space left on device"),
    "eio": ("write", False, "Input/output error"),
    "read-eio": ("read", False, "Input/output error"),
}
"""What can be wrong: the operation that fails, whether space is what lacks, the operating system's reason."""
NONE = "none"


class DiskFailed(Fact):
    """A guest's access to a disk failed. action: what the drive's policy made of it.

    device: the name of a drive of the old kind, else empty.
    """

    device: str
    node: str
    operation: str
    action: str
    no_space: bool
    reason: str


class DiskErrors:
    """The faults of a machine's disks, by the drive's path."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._faults: dict[str, str] = {}
        self._timer: Timer | None = None

    def set(self, value: str) -> None:
        """`DEVICE:KIND`, a kind of KINDS or `none`; the device by its id. Raises Refused, QmpError."""
        name, _, kind = value.rpartition(":")
        if not name or kind not in (*KINDS, NONE):
            raise Refused(f"'{value}': expected DEVICE:KIND, with one of {', '.join((*KINDS, NONE))}")
        drive = self._drive(name)
        if kind == NONE:
            self._faults.pop(drive.qdev, None)
        else:
            self._faults[drive.qdev] = kind
            self._wait(FIRST_NS)

    def resumed(self) -> None:
        """The machine goes on: nothing is shown of what went wrong, and the guest tries again."""
        for drive in self._machine.blocks.drives:
            drive.io_status = "ok"
        if self._machine.store_up:
            self._machine.store.working.forgive()
        if self._faults:
            self._wait(FIRST_NS)

    def _drive(self, name: str) -> Drive:
        drives = [each for each in self._machine.blocks.drives if each.attached and each.node is not None]
        found = next((each for each in drives if name in (each.id, each.name, each.qdev)), None)
        if found is None:
            known = ", ".join(each.id or each.name or each.qdev for each in drives) or "none"
            raise Refused(f"no disk device '{name}': there is {known}")
        return found

    def _wait(self, delay_ns: int) -> None:
        clock = self._machine.virtual_clock
        if self._timer is not None:
            self._timer.cancel()
        self._timer = clock.call_at(clock.now_ns + delay_ns, self._access)

    def _access(self) -> None:
        """The guest accesses its disks."""
        machine = self._machine
        for drive in list(machine.blocks.drives):
            kind = self._faults.get(drive.qdev)
            if kind is not None and drive.node is not None and machine.board.runstate == RUNNING:
                self._fail(drive, drive.node.name, *KINDS[kind])
        if self._faults and machine.board.runstate == RUNNING:
            self._wait(AGAIN_NS)

    def _fail(self, drive: Drive, node: str, operation: str, no_space: bool, reason: str) -> None:
        self._machine.accounting.failed(drive, operation)
        policy = drive.read_error if operation == "read" else drive.write_error
        action = policy if policy != "enospc" else "stop" if no_space else "report"
        if action == "stop":
            drive.io_status = "nospace" if no_space else "failed"
        self._machine.facts.publish(
            DiskFailed(
                device=drive.name,
                node=node,
                operation=operation,
                action=action,
                no_space=no_space,
                reason=reason,
            )
        )
        if action == "stop":
            self._machine.board.disk_failed()
