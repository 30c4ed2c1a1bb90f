"""Guest programs as generators on the machine clock: they read from top to bottom and wait where they `yield`.

    def boot():
        yield 3 * NS_PER_S                    # time passes
        answer = yield gate                   # until somebody opens the gate; the value it was opened with
        answer = yield gate.within(limit_ns)  # the same with a limit: None when it runs out

An activity keeps its own thread of causes: what it does after a wait is because of what it did before, whoever
opened the gate. `Activities.end_all` is a crash: nothing that was scheduled through it runs any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from qmpemu.core.clock import Lifetime, Timer
    from qmpemu.core.facts import Bus, Fact

    R = TypeVar("R")
    Steps = Generator["int | Gate | Limited", Any, R]
    """What a guest program is: yields waits, returns R."""
else:
    R = TypeVar("R")


class Gate:
    """Something to wait for. It opens once."""

    __slots__ = ("_waiting", "is_open", "value")

    def __init__(self) -> None:
        self.is_open = False
        self.value: object = None
        self._waiting: list[Activity] = []

    def open(self, value: object = True) -> None:
        """Let everybody who waits go on, each in an event of its own, with `value`; later openings do nothing."""
        if self.is_open:
            return
        self.is_open, self.value = True, value
        for activity in self._waiting:
            activity.wake(value)
        self._waiting.clear()

    def within(self, limit_ns: int) -> Limited:
        """This gate, waited for no longer than `limit_ns`."""
        return Limited(self, limit_ns)

    def admit(self, activity: Activity) -> None:
        """Remember who waits."""
        self._waiting.append(activity)

    def dismiss(self, activity: Activity) -> None:
        """Forget who no longer waits."""
        if activity in self._waiting:
            self._waiting.remove(activity)


class Limited:
    """A gate with a limit."""

    __slots__ = ("gate", "limit_ns")

    def __init__(self, gate: Gate, limit_ns: int) -> None:
        self.gate = gate
        self.limit_ns = limit_ns


class Activity:
    """One running program."""

    __slots__ = ("_all", "_cause", "_gate", "_generation", "_steps", "_timer")

    def __init__(self, activities: Activities, steps: Steps[None]) -> None:
        self._all = activities
        self._generation = activities.generation
        self._steps = steps
        self._cause: Fact | None = activities.facts.cause
        self._timer: Timer | None = None
        self._gate: Gate | None = None

    def run(self, value: object = None) -> None:
        """Run up to the next wait."""
        self._all.facts.run(self._cause, lambda: self._advance(value))

    def wake(self, value: object) -> None:
        """The gate opened: go on in an event of its own."""
        self._forget_wait()
        self._timer = self._all.clock.call_in(0, lambda: self.run(value))

    def _advance(self, value: object = None) -> None:
        self._forget_wait()
        if self._generation != self._all.generation:
            return
        try:
            wanted = self._steps.send(value)
            while isinstance(wanted, Gate) and wanted.is_open:
                wanted = self._steps.send(wanted.value)
        except StopIteration:
            return
        if isinstance(wanted, int):
            self._timer = self._all.clock.call_in(wanted, self._advance)
            return
        self._cause = self._all.facts.cause
        self._gate = wanted.gate if isinstance(wanted, Limited) else wanted
        if isinstance(wanted, Limited):
            self._timer = self._all.clock.call_in(
                0 if self._gate.is_open else wanted.limit_ns, self._time_out
            )
        self._gate.admit(self)

    def _time_out(self) -> None:
        gate = self._gate
        self._advance(gate.value if gate is not None and gate.is_open else None)

    def _forget_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gate is not None:
            self._gate.dismiss(self)
            self._gate = None


class Activities:
    """Everything that runs in one guest; a crash ends it all at once."""

    __slots__ = ("clock", "facts", "generation")

    def __init__(self, clock: Lifetime, facts: Bus) -> None:
        self.clock = clock
        self.facts = facts
        self.generation = 0

    def start(self, steps: Steps[None]) -> None:
        """Run a program: up to its first wait now, the rest on the clock."""
        Activity(self, steps).run()

    def after(self, delay_ns: int, call: Callable[[], object]) -> Timer:
        """Call once after `delay_ns`, unless everything ended before."""
        generation = self.generation
        return self.clock.call_in(delay_ns, lambda: call() if generation == self.generation else None)

    def end_all(self) -> None:
        """Nothing that was started so far runs any further."""
        self.generation += 1
