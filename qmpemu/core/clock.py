"""Time as data: a heap of callbacks, run in `(when, order of scheduling)` order. Nobody here reads a wall clock.

    Clock          the host's time line; the edge moves it (`run_until`) or a test steps it by hand
    MachineClock   one machine's time: stands still while the machine is paused, starts again where it stopped
    Pace           how wall time maps onto a Clock: 1x, 60x, or None for virtual time that jumps when idle

Deterministic: equal times run in the order in which they were scheduled.
"""

from __future__ import annotations

from qmpemu.core.queues import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.facts import Bus, Fact

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Timer:
    """One scheduled callback. `cancel()` is allowed at any time, also after it ran."""

    __slots__ = ("call", "cause", "seq", "when_ns")

    def __init__(self, when_ns: int, seq: int, call: Callable[[], object], cause: Fact | None) -> None:
        self.when_ns = when_ns
        self.seq = seq
        self.call: Callable[[], object] | None = call
        self.cause = cause

    def cancel(self) -> None:
        """Forget the callback; the heap drops the empty entry when it comes up."""
        self.call = None

    def __lt__(self, other: Timer) -> bool:
        return (self.when_ns, self.seq) < (other.when_ns, other.seq)


class Timers:
    """A heap of timers that knows the earliest live one."""

    __slots__ = ("_heap", "_seq")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._seq = 0

    def add(self, when_ns: int, call: Callable[[], object], cause: Fact | None = None) -> Timer:
        """Schedule `call` at `when_ns`."""
        timer = Timer(when_ns, self._seq, call, cause)
        self._seq += 1
        heappush(self._heap, timer)
        return timer

    def next_ns(self) -> int | None:
        """When the earliest live timer is due, or None."""
        heap = self._heap
        while heap and heap[0].call is None:
            heappop(heap)
        return heap[0].when_ns if heap else None

    def pop_due(self, now_ns: int) -> Timer | None:
        """Take out the earliest live timer if it is due at `now_ns`."""
        due_ns = self.next_ns()
        return heappop(self._heap) if due_ns is not None and due_ns <= now_ns else None


class Clock:
    """The host's time line in nanoseconds from 0. It moves only in `run_until` and `step`."""

    __slots__ = ("_timers", "now_ns", "on_change")

    def __init__(self) -> None:
        self.now_ns = 0
        self._timers = Timers()
        self.on_change: Callable[[], None] | None = None
        """Called when something was scheduled: the edge re-arms its own alarm."""

    def call_at(self, when_ns: int, call: Callable[[], object]) -> Timer:
        """Run `call` when the clock reaches `when_ns`; a past time means at the next turn."""
        timer = self._timers.add(max(when_ns, self.now_ns), call)
        if self.on_change is not None:
            self.on_change()
        return timer

    def next_due_ns(self) -> int | None:
        """When the next callback is due, or None when nothing is scheduled."""
        return self._timers.next_ns()

    def run_until(self, when_ns: int) -> None:
        """Run everything due up to `when_ns`, in order, and leave the clock there."""
        while (timer := self._timers.pop_due(when_ns)) is not None:
            self._run(timer)
        self.now_ns = max(self.now_ns, when_ns)

    def step(self) -> bool:
        """Jump to the next callback and run it; False when nothing is scheduled."""
        due_ns = self._timers.next_ns()
        timer = None if due_ns is None else self._timers.pop_due(due_ns)
        if timer is None:
            return False
        self._run(timer)
        return True

    def _run(self, timer: Timer) -> None:
        self.now_ns = max(self.now_ns, timer.when_ns)
        call, timer.call = timer.call, None
        if call is not None:
            call()


class MachineClock:
    """One machine's time, in nanoseconds since it was first started; frozen until `start()`.

    Callbacks run with the cause that was current when they were scheduled, and `settle` runs after each, so that
    requests raised inside a callback are served before anything else happens.
    """

    __slots__ = (
        "_alarm",
        "_bus",
        "_elapsed_ns",
        "_host",
        "_ran",
        "_ran_at_ns",
        "_settle",
        "_started_ns",
        "_timers",
    )

    def __init__(self, host: Clock, bus: Bus, settle: Callable[[], None]) -> None:
        self._host = host
        self._bus = bus
        self._settle = settle
        self._timers = Timers()
        self._elapsed_ns = 0
        self._ran = self._ran_at_ns = 0
        self._started_ns: int | None = None
        self._alarm: Timer | None = None

    @property
    def running(self) -> bool:
        """Whether time passes."""
        return self._started_ns is not None

    @property
    def now_ns(self) -> int:
        """Nanoseconds of machine time so far."""
        started_ns = self._started_ns
        return self._elapsed_ns + (0 if started_ns is None else self._host.now_ns - started_ns)

    @property
    def ran(self) -> int:
        """How many callbacks have run at this very nanosecond: with `now_ns` it is a place in the order of things."""
        return self._ran if self._ran_at_ns == self.now_ns else 0

    def call_in(self, delay_ns: int, call: Callable[[], object]) -> Timer:
        """Run `call` after `delay_ns` of machine time."""
        timer = self._timers.add(self.now_ns + delay_ns, call, self._bus.cause)
        self._arm()
        return timer

    def start(self) -> None:
        """Let time pass (again)."""
        if self._started_ns is None:
            self._started_ns = self._host.now_ns
            self._arm()

    def stop(self) -> None:
        """Freeze time; what is scheduled stays scheduled."""
        self._elapsed_ns = self.now_ns
        self._started_ns = None
        self._arm()

    def rewind(self, now_ns: int, ran: int = 0) -> None:
        """Forget everything scheduled and stand still at `now_ns`: the past is about to be lived again.

        ran: callbacks that had run at that nanosecond.
        """
        self._timers = Timers()
        self._elapsed_ns, self._started_ns = now_ns, None
        self._ran, self._ran_at_ns = ran, now_ns
        self._arm()

    def replay(self, until_ns: int, ran: int) -> None:
        """Run what was due up to `until_ns`, and `ran` callbacks at that nanosecond, while the host's clock stands.

        Whether the machine runs does not matter: machine time that has passed once passes again.
        """
        while (due_ns := self._timers.next_ns()) is not None and due_ns <= until_ns:
            due_ns = max(due_ns, self.now_ns)
            if due_ns == until_ns and self._ran_at_ns == until_ns and self._ran >= ran:
                break
            if due_ns == until_ns and ran == 0:
                break
            self._move_to(due_ns)
            timer = self._timers.pop_due(due_ns)
            assert timer is not None, "the timer that was looked at is still there"
            self._run(timer)
        self._move_to(until_ns)
        self._arm()

    def _move_to(self, now_ns: int) -> None:
        self._elapsed_ns = now_ns
        if self._started_ns is not None:
            self._started_ns = self._host.now_ns

    def _arm(self) -> None:
        due_ns = self._timers.next_ns() if self.running else None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if due_ns is not None:
            self._alarm = self._host.call_at(self._host.now_ns + due_ns - self.now_ns, self._run_due)

    def _run_due(self) -> None:
        self._alarm = None
        timer = self._timers.pop_due(self.now_ns) if self.running else None
        if timer is not None:
            self._run(timer)
        self._arm()

    def _run(self, timer: Timer) -> None:
        now_ns = self.now_ns
        self._ran = self._ran + 1 if self._ran_at_ns == now_ns else 1
        self._ran_at_ns = now_ns
        if timer.call is not None:
            self._bus.run(timer.cause, timer.call)
            self._settle()


class Lifetime:
    """A view of a machine clock that dies: after `end()` nothing scheduled through it runs any more.

    A guest schedules through the lifetime of its boot, so that a reset or a power cut needs no list of timers.
    """

    __slots__ = ("_clock", "alive")

    def __init__(self, clock: MachineClock) -> None:
        self._clock = clock
        self.alive = True

    @property
    def now_ns(self) -> int:
        """Nanoseconds of machine time so far."""
        return self._clock.now_ns

    def call_in(self, delay_ns: int, call: Callable[[], object]) -> Timer:
        """Run `call` after `delay_ns` of machine time, unless this lifetime has ended by then."""
        return self._clock.call_in(delay_ns, lambda: call() if self.alive else None)

    def end(self) -> None:
        """Nothing more runs."""
        self.alive = False


class Pace:
    """How wall time moves a Clock: `scale` clock seconds a wall second, or None for virtual time."""

    __slots__ = ("_clock_ns", "_wall_ns", "scale")

    def __init__(self, scale: float | None, wall_ns: int) -> None:
        self.scale = scale
        self._wall_ns = wall_ns
        self._clock_ns = 0

    def clock_ns(self, wall_ns: int) -> int:
        """The clock time that belongs to `wall_ns`."""
        return self._clock_ns + int((wall_ns - self._wall_ns) * (self.scale or 0))

    def wait_ns(self, due_ns: int, wall_ns: int) -> int:
        """Wall nanoseconds from `wall_ns` until the clock reaches `due_ns`; 0 in virtual time or when past."""
        if self.scale is None:
            return 0
        return max(0, int((due_ns - self.clock_ns(wall_ns)) / self.scale))


def parse_scale(text: str) -> float | None:
    """Read a speed: `60x`, `0.5x`, `1`, or `virtual` (None). Raises ValueError with one sentence."""
    if text == "virtual":
        return None
    try:
        scale = float(text.removesuffix("x"))
    except ValueError:
        scale = 0.0
    if not 0 < scale <= 1e9:
        raise ValueError(f"speed '{text}' is not valid: give a factor such as 60x or 0.5x, or 'virtual'")
    return scale
