"""How a dump goes: the machine stands still, the file is written, and it goes on.

none ──begin──> active ──written──> completed
                   └─────fails────> failed            (each may begin again)
"""

from __future__ import annotations

from qmpemu.machine.dump import DumpCompleted, memory
from qmpemu.machine.dump.elf import elf
from qmpemu.machine.dump.kdump import kdump
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.machine.machine import Machine

NO_NOTE = "win-dump: invalid vmcoreinfo note size"
"""Why there is no Windows crash dump: no driver has left QEMU its header."""


class Dump:
    """The machine's dump, one at a time."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.status = "none"
        self.total_bytes = self.done_bytes = 0

    def query(self) -> dict[str, object]:
        """-> as query-dump shows it."""
        return {"total": self.total_bytes, "status": self.status, "completed": self.done_bytes}

    def begin(self, fd: int, form: str, begin: int | None, length: int, *, detach: bool) -> object:
        """Dump into `fd`, which is closed then. -> the command's result. Raises QmpError."""
        machine = self._machine
        self.status, self.total_bytes, self.done_bytes = "active", 0, 0
        machine.board.save_stops()
        try:
            parts = self._parts(form, begin, length)
        except memory.NothingToDump as nothing:
            self.status = "failed"
            machine.board.save_ends()
            machine.host.close_fd(fd)
            raise QmpError(str(nothing)) from None
        later = Later()

        def over(error: str | None) -> None:
            self._over(error)
            later.finish({} if error is None else QmpError(error))

        def write() -> None:
            if form == "win-dmp":
                machine.host.close_fd(fd)
                over(NO_NOTE)
            else:
                machine.host.write_dump(fd, parts, over)

        if detach:
            machine.call_in_host_time(0, write)
            return {}
        write()
        if isinstance(later.outcome, QmpError):
            raise later.outcome
        return later if later.outcome is None else later.outcome

    def _parts(self, form: str, begin: int | None, length: int) -> Iterator[bytes | int]:
        machine = self._machine
        if begin is not None and begin < 0:
            raise memory.NothingToDump("Invalid parameter 'begin'")
        if begin is not None and length <= 0:
            raise memory.NothingToDump("Invalid parameter 'length'")
        ranges = memory.ranges(machine, begin, length)
        self.total_bytes = sum(size for _, size in ranges)
        notes = memory.processor_notes(machine)
        if form == "kdump-zlib":
            return kdump(ranges, notes, len(list(machine.devices.processors.present())))
        return elf(ranges, notes, memory.elf_machine(machine))

    def _over(self, error: str | None) -> None:
        self.status = "completed" if error is None else "failed"
        self.done_bytes = self.total_bytes if error is None else 0
        self._machine.facts.publish(DumpCompleted(told=self.query(), error=error))
        self._machine.board.save_ends()
