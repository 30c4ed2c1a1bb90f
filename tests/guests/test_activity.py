"""guests.activity: generators on the machine clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import Clock, Lifetime, MachineClock
from qmpemu.core.facts import Bus, Fact
from qmpemu.guests.activity import Activities, Gate

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps


class Noted(Fact):
    """A test's step."""

    what: str


class Bench:
    """A clock with activities on it."""

    def __init__(self) -> None:
        self.host = Clock()
        self.facts = Bus(lambda: self.host.now_ns)
        clock = MachineClock(self.host, self.facts, lambda: None)
        clock.start()
        self.activities = Activities(Lifetime(clock), self.facts)

    def noted(self) -> list[tuple[int, object]]:
        return [(fact.at_ns, fact.data()["what"]) for fact in self.facts.kept]


def test_waits_take_their_time() -> None:
    """A yielded number of nanoseconds passes on the clock, and each step causes the next."""
    bench = Bench()

    def steps() -> Steps[None]:
        bench.facts.chain(Noted(what="first"))
        yield 10
        bench.facts.chain(Noted(what="second"))
        yield 5
        bench.facts.chain(Noted(what="third"))

    bench.activities.start(steps())
    bench.host.run_until(100)
    assert bench.noted() == [(0, "first"), (10, "second"), (15, "third")]
    assert [fact.data()["what"] for fact in bench.facts.kept[-1].causes()] == ["second", "first"]
    assert bench.facts.cause is None


def test_a_gate_lets_go_on_with_its_value() -> None:
    """Whoever waits at a gate gets the value it was opened with, keeps its own cause, and a late comer passes."""
    bench, gate = Bench(), Gate()

    def waiter() -> Steps[None]:
        bench.facts.chain(Noted(what="waits"))
        value = yield gate
        bench.facts.chain(Noted(what=value))

    bench.activities.start(waiter())
    bench.host.run_until(7)
    bench.facts.run(Noted(what="opener"), lambda: gate.open("go"))
    gate.open("too late")
    bench.host.run_until(8)
    bench.activities.start(waiter())
    assert bench.noted() == [(0, "waits"), (7, "go"), (8, "waits"), (8, "go")]
    assert bench.facts.kept[1].because is bench.facts.kept[0]


def test_a_limited_wait_runs_out() -> None:
    """A limited wait gives None when its time is over, and a later opening does not wake it twice."""
    bench, gate = Bench(), Gate()

    def waiter() -> Steps[None]:
        bench.facts.chain(Noted(what=(yield gate.within(5))))
        yield 10
        bench.facts.chain(Noted(what=(yield gate.within(5))))

    bench.activities.start(waiter())
    bench.host.run_until(6)
    gate.open("open")
    bench.host.run_until(50)
    assert bench.noted() == [(5, None), (15, "open")]


def test_a_crash_ends_everything() -> None:
    """After end_all nothing that was started before runs, and what is started afterwards does."""
    bench = Bench()

    def steps(what: str) -> Steps[None]:
        yield 10
        bench.facts.chain(Noted(what=what))

    bench.activities.start(steps("before"))
    bench.activities.after(10, lambda: bench.facts.chain(Noted(what="before")))
    bench.activities.end_all()
    bench.activities.start(steps("after"))
    bench.host.run_until(50)
    assert bench.noted() == [(10, "after")]
