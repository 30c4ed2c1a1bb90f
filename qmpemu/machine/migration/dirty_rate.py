"""How fast the guest writes, measured: what the memory's model says, for the part of the time in which it runs.

unstarted ──measure──> measuring ──after calc-time──> measured ──measure──> ...
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.machine.migration.memory import MIB
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.machine import Machine

SAMPLING, RING = "page-sampling", "dirty-ring"
SAMPLES = 512
"""Pages of a GiB that are looked at, if nothing else is asked for."""


class DirtyRate:
    """The latest measurement."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.status, self.mode = "unstarted", SAMPLING
        self.samples = self.began_s = self.takes_s = self.mib_s = 0

    def told(self) -> dict[str, object]:
        """-> query-dirty-rate's reply; rate in MiB/s."""
        rows: dict[str, object] = {"status": self.status, "sample-pages": self.samples}
        if self.status == "measured":
            rows["dirty-rate"] = self.mib_s
            if self.mode != SAMPLING:
                count = len(self._machine.devices.processors.present())
                share = self.mib_s // max(1, count)
                rows["vcpu-dirty-rate"] = [{"id": number, "dirty-rate": share} for number in range(count)]
        return {**rows, "mode": self.mode, "start-time": self.began_s, "calc-time": self.takes_s}

    def measure(self, takes_s: int, samples: int | None, mode: str) -> None:
        """Begin. Raises QmpError (texts measured)."""
        if self.status == "measuring":
            raise QmpError("the dirty rate is already being measured.")
        if not 1 <= takes_s <= 60:
            raise QmpError("calc-time is out of range[1, 60].")
        if samples is not None and mode == RING:
            raise QmpError("either sample-pages or dirty-ring can be specified.")
        if samples is not None and not 128 <= samples <= 16384:
            raise QmpError("sample-pages is out of range[128, 16384].")
        if mode == RING:
            raise QmpError("mode dirty-ring is not enabled, use other method instead.")
        machine = self._machine
        began_ns, ran_ns = machine.host_ns(), machine.clock.now_ns
        self.status, self.mode, self.takes_s = "measuring", mode, takes_s
        self.samples = (samples or SAMPLES) if mode == SAMPLING else 0
        self.began_s = began_ns // NS_PER_S

        def over() -> None:
            spent_ns = machine.host_ns() - began_ns
            running_ns = min(spent_ns, machine.clock.now_ns - ran_ns)
            self.mib_s = machine.migration.memory.dirty_bytes_s * running_ns // (spent_ns * MIB)
            self.status = "measured"

        machine.call_in_host_time(takes_s * NS_PER_S, over)
