"""What the balloon's driver tells of the guest's memory, asked for every few seconds: guest-stats in the object tree.

interval set ──> timer ──> driver's report ──> guest-stats, last-update ──> timer (until the interval is 0)
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.balloon import Balloon
    from qmpemu.core.clock import Timer
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.qom import Object

STATS, INTERVAL = "guest-stats", "guest-stats-polling-interval"
LONGEST_S = 2**32 - 1
UNKNOWN = 2**64 - 1
"""The value of what no driver has told."""
NAMES = """
    htlb-pgalloc swap-out available-memory htlb-pgfail free-memory major-faults minor-faults total-memory swap-in
    disk-caches
""".split()
"""In an order of insertion that makes the printed one the real one's (`qmp.order`)."""


class BalloonStats:
    """Asks the driver, and is what the tree shows. A machine that stands still is not asked."""

    def __init__(self, machine: Machine, balloon: Balloon) -> None:
        self._machine = machine
        self._balloon = balloon
        self._timer: Timer | None = None
        self._interval_s = 0
        self._shown: dict[str, object] = {"stats": _named({}), "last-update": 0}

    def show_in(self, made: Object, owner: str) -> None:
        """Stand in the object tree. owner: the type whose properties they are."""

        def refuse(value: object) -> None:
            raise Refused(f"Property '{owner}.{STATS}' is not writable")

        made.values[STATS] = self._shown
        made.values[INTERVAL] = self._interval_s
        made.setters = {INTERVAL: self.set_interval, STATS: refuse}
        made.writable = frozenset(made.setters)

    def set_interval(self, value: object) -> None:
        """Ask every `value` seconds from now on; 0 asks no more. Raises Refused."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"Invalid parameter type for '{INTERVAL}', expected: integer")
        if value < 0:
            raise Refused("timer value must be greater than zero")
        if value > LONGEST_S:
            raise Refused("timer value is too big")
        self.stop()
        self._interval_s = value
        self._wait()

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._interval_s = 0

    def _wait(self) -> None:
        if self._interval_s:
            clock = self._machine.virtual_clock
            self._timer = clock.call_at(clock.now_ns + self._interval_s * NS_PER_S, self._ask)

    def _ask(self) -> None:
        if self._balloon.stats is not None and self._machine.clock.running:
            self._shown["stats"] = _named(self._balloon.stats())
            self._shown["last-update"] = self._machine.wall_ns() // NS_PER_S
        self._wait()


def _named(told: dict[str, int]) -> dict[str, int]:
    return {f"stat-{name}": told.get(name, UNKNOWN) for name in NAMES}
