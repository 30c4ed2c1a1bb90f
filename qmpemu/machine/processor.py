"""The processor that executes nothing: it hands control to the software that is loaded, when hardware would.

    power good ──> software.power_on()
    SCI high   ──(on the clock)──> software.interrupt()
    S3 wake    ──> software.resume()

There is no instruction stream; `software` (a simulated guest, loaded through `load`) schedules its own work on the
machine clock. An interrupt is always a scheduled event, never a call from inside a command.
"""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_MS, Lifetime
from qmpemu.machine.history import History

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from qmpemu.core.clock import MachineClock, Timer

    class Software(Protocol):
        """What runs on the processor, seen from the hardware."""

        def power_on(self) -> None:
            """The processor leaves reset: firmware starts."""

        def interrupt(self) -> None:
            """The SCI line is high."""

        def nmi(self) -> None:
            """A non-maskable interrupt arrived."""

        def resume(self) -> None:
            """The machine left S3; memory is intact."""

        def power_lost(self) -> None:
            """Reset or power cut: whatever was volatile is gone. Nothing runs afterwards."""


POWER_GOOD_NS = 100 * NS_PER_MS
"""From power-up or reset to the first instruction (the ATX supply's PWR_OK delay is 100 to 500 ms)."""

INTERRUPT_LATENCY_NS = 50_000
"""From a raised SCI to the handler's first instruction; also between two deliveries of a line that stays high."""

UNSERVICED_MAX = 1_000
"""Deliveries in a row that leave the line high before the processor masks it, as real kernels do."""


class Processor:
    """Runs the loaded software. Without software (`-machine none`) every signal falls on deaf ears."""

    __slots__ = (
        "_boot",
        "_clock",
        "_line",
        "_load",
        "_pending",
        "_power_good",
        "_software",
        "_unserviced",
        "history",
    )

    def __init__(
        self,
        clock: MachineClock,
        load: Callable[[Lifetime], Software | None] | None,
        history: History | None = None,
    ) -> None:
        """load: None for a processor on which nothing ever runs."""
        self._clock = clock
        self.history = history or History(clock)
        self._load = load
        self._software: Software | None = None
        self._boot: Lifetime | None = None
        self._power_good: Timer | None = None
        self._pending: Timer | None = None
        self._line = False
        self._unserviced = 0

    @property
    def runs_software(self) -> bool:
        """Whether anything ever runs here."""
        return self._load is not None

    @property
    def software(self) -> Software | None:
        """What runs now."""
        return self._software

    @property
    def power_good_at_ns(self) -> int | None:
        """The machine time at which the first instruction will run; None before the start and after it has."""
        return self._power_good.when_ns if self._power_good is not None else None

    def start(self) -> None:
        """The machine runs: after a reset or at first start, the power-good delay begins."""
        self._clock.start()
        if self._load is not None and self._software is None and self._power_good is None:
            self._power_good = self._clock.call_in(POWER_GOOD_NS, self.power_on)

    def reset(self) -> None:
        """Reset or power cut: what was running loses power where it stands; `start` boots anew."""
        software = self._software
        self.forget()
        if software is not None:
            software.power_lost()

    def forget(self) -> None:
        """Let go of what was running without a word to it: it lives on elsewhere, or is about to be replaced."""
        for timer in (self._power_good, self._pending):
            if timer is not None:
                timer.cancel()
        self._power_good = self._pending = self._software = None
        self.history.end()
        if self._boot is not None:
            self._boot.end()
            self._boot = None

    def start_as(self, power_good_in_ns: int | None) -> None:
        """Take over a machine that had not executed anything: what was left of its power-good delay, if it ran."""
        self.forget()
        if power_good_in_ns is not None and self._load is not None:
            self._power_good = self._clock.call_in(power_good_in_ns, self.power_on)

    def power_on(self) -> None:
        """Leave reset: load what runs here, and let it start."""
        assert self._load is not None, "only a processor with software is started"
        self._power_good = None
        self._unserviced = 0
        self._line = False
        self.history.begin()
        self._boot = Lifetime(self._clock)
        self._software = self._load(self._boot)
        if self._software is not None:
            self._software.power_on()

    def wake(self) -> None:
        """Leave S3."""
        if self._software is not None:
            self._software.resume()

    def nmi(self) -> None:
        """Deliver an NMI at the next instruction."""
        if self._software is not None:
            self._clock.call_in(0, self._software.nmi)

    def sci_changed(self, level: bool) -> None:
        """The interrupt line changed; a high one is delivered on the clock."""
        self._line = level
        if not level:
            self._unserviced = 0
        elif self._load is not None and self._pending is None:
            self._pending = self._clock.call_in(INTERRUPT_LATENCY_NS, self._deliver)

    def _deliver(self) -> None:
        self._pending = None
        if not self._line or self._software is None:
            return
        self._software.interrupt()
        self._unserviced += 1
        if self._line and self._pending is None and self._unserviced < UNSERVICED_MAX:
            self._pending = self._clock.call_in(INTERRUPT_LATENCY_NS, self._deliver)
