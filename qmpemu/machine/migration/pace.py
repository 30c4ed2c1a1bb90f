"""How fast a migration goes: bandwidth in portions, what was measured of it, and the guest's writing slowed down."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_MS, NS_PER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.migration.memory import Ram
    from qmpemu.machine.migration.parameters import Parameters

SLICE_NS = 100 * NS_PER_MS
"""Bandwidth is granted in portions of this long, as in QEMU."""
LEFT_MARGIN = 10_000
"""Bytes below which QEMU makes no guess of the downtime."""


class Pace:
    """Of one migration from here. link_bytes_s: what the network carries, whatever the parameters allow."""

    def __init__(self, ram: Ram, parameters: Parameters, link_bytes_s: int) -> None:
        self._ram, self._parameters, self._link_bytes_s = ram, parameters, link_bytes_s
        self.mbps = 0.0
        """Megabits a second, lately."""
        self.pages_s = 0
        self.expected_downtime_ms: int = parameters["downtime-limit"]
        self._bearable_bytes = 0
        """What can be left for the time in which the guest stands still."""
        self._slice_ends_ns = self._slice_left = 0
        self._measured_ns = self._measured_bytes = self._measured_pages = 0

    def begin(self, now_ns: int) -> None:
        """Measure from now on."""
        self._measured_ns = now_ns

    def renew(self) -> None:
        """Grant a new portion at once: another limit holds."""
        self._slice_ends_ns = 0

    @property
    def bearable(self) -> bool:
        """Whether so little is left that the guest may stand still for it."""
        return self._ram.cost_bytes < self._bearable_bytes

    def send(self, now_ns: int, limit_bytes_s: int) -> tuple[int, int]:
        """Send what this portion allows; the bytes that it took, and after how many ns there is to be more."""
        if now_ns >= self._slice_ends_ns:
            self._slice_ends_ns = now_ns + SLICE_NS
            self._slice_left = max(1, limit_bytes_s * SLICE_NS // NS_PER_S)
        spent = self._ram.send(min(self._slice_left, max(1, self._link_bytes_s * SLICE_NS // NS_PER_S)))
        self._slice_left -= spent
        took_ns = max(1, spent * NS_PER_S // self._link_bytes_s)
        return spent, took_ns if self._slice_left > 0 else max(took_ns, self._slice_ends_ns - now_ns)

    def measure(self, now_ns: int) -> None:
        """The figures that QEMU renews once a portion: bandwidth, and with it what may be left for the downtime."""
        spent_ns = now_ns - self._measured_ns
        if spent_ns < SLICE_NS:
            return
        ram = self._ram
        sent = ram.transferred - self._measured_bytes
        pages = ram.normal + ram.duplicate
        self.mbps = sent * 8 * 1000 / spent_ns
        self.pages_s = (pages - self._measured_pages) * NS_PER_S // spent_ns
        self._bearable_bytes = sent * self._parameters["downtime-limit"] * NS_PER_MS // spent_ns
        if ram.dirty_pages_s and sent > LEFT_MARGIN:
            self.expected_downtime_ms = ram.cost_bytes * spent_ns // (sent * NS_PER_MS)
        self._measured_ns, self._measured_bytes, self._measured_pages = now_ns, ram.transferred, pages

    def throttle(self) -> None:
        """Slow the guest's writing down where it outruns the passes; of a simulated guest nothing else gets slower."""
        ram, parameters = self._ram, self._parameters
        written = ram.dirty_pages_s * 4096 * 100
        if written > parameters["throttle-trigger-threshold"] * self.mbps * 125_000:
            now = ram.throttle_percent
            more = now + parameters["cpu-throttle-increment"] if now else parameters["cpu-throttle-initial"]
            ram.throttle_percent = min(more, parameters["max-cpu-throttle"])
