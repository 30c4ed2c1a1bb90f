"""core.clock: order, freezing, lifetimes, pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpemu.core.clock import NS_PER_S, Clock, Lifetime, MachineClock, Pace, parse_scale
from qmpemu.core.facts import Bus, Fact


def machine_clock(host: Clock) -> MachineClock:
    return MachineClock(host, Bus(lambda: host.now_ns), lambda: None)


@given(st.lists(st.integers(0, 50), max_size=30))
def test_callbacks_run_by_time_then_by_order_of_scheduling(delays: list[int]) -> None:
    """Whatever the order of scheduling, callbacks run by time, equal times first come first served."""
    clock, ran = Clock(), []
    for index, delay in enumerate(delays):
        clock.call_at(delay, lambda index=index, delay=delay: ran.append((delay, index)))
    clock.run_until(100)
    assert ran == sorted((delay, index) for index, delay in enumerate(delays))
    assert clock.now_ns == 100


def test_a_cancelled_timer_does_not_run_and_is_not_due() -> None:
    """A cancelled timer leaves no trace."""
    clock, ran = Clock(), []
    clock.call_at(5, lambda: ran.append(1)).cancel()
    assert clock.next_due_ns() is None
    clock.run_until(10)
    assert ran == []


def test_step_jumps_to_the_next_callback() -> None:
    """Virtual time moves from callback to callback."""
    clock, seen = Clock(), []
    clock.call_at(7 * NS_PER_S, lambda: seen.append(clock.now_ns))
    assert clock.step()
    assert seen == [7 * NS_PER_S]
    assert not clock.step()


def test_machine_time_stands_still_while_stopped() -> None:
    """A timer of a paused machine is due by as much later as the pause lasted."""
    host = Clock()
    clock, seen = machine_clock(host), []
    clock.start()
    clock.call_in(10, lambda: seen.append(host.now_ns))
    host.run_until(4)
    clock.stop()
    host.run_until(1000)
    assert (clock.now_ns, seen) == (4, [])
    clock.start()
    host.run_until(2000)
    assert seen == [1006]


def test_settle_runs_after_each_callback() -> None:
    """Requests raised inside a callback are served before the next callback."""
    host, trace = Clock(), []
    clock = MachineClock(host, Bus(lambda: 0), lambda: trace.append("settle"))
    clock.start()
    clock.call_in(1, lambda: trace.append("a"))
    clock.call_in(1, lambda: trace.append("b"))
    host.run_until(1)
    assert trace == ["a", "settle", "b", "settle"]


def test_a_callback_runs_with_the_cause_of_its_scheduling() -> None:
    """Causes survive the way through the clock."""

    class Pressed(Fact):
        pass

    class Noticed(Fact):
        pass

    host = Clock()
    bus = Bus(lambda: host.now_ns)
    clock = MachineClock(host, bus, lambda: None)
    clock.start()
    pressed = bus.chain(Pressed())
    clock.call_in(1, lambda: bus.publish(Noticed()))
    bus.cause = None
    host.run_until(1)
    assert [fact.because for fact in bus.kept] == [None, pressed]


def test_nothing_runs_after_the_end_of_a_lifetime() -> None:
    """A reset needs no list of timers."""
    host, ran = Clock(), []
    clock = machine_clock(host)
    clock.start()
    life = Lifetime(clock)
    life.call_in(1, lambda: ran.append("early"))
    life.call_in(3, lambda: ran.append("late"))
    host.run_until(2)
    life.end()
    host.run_until(9)
    assert ran == ["early"]


def test_pace_scales_wall_time() -> None:
    """At 60x one wall second is a clock minute, and the wait for a clock minute is one wall second."""
    pace = Pace(60, wall_ns=1000)
    assert pace.clock_ns(1000 + NS_PER_S) == 60 * NS_PER_S
    assert pace.wait_ns(60 * NS_PER_S, wall_ns=1000) == NS_PER_S
    assert Pace(None, 0).wait_ns(60 * NS_PER_S, 0) == 0


@pytest.mark.parametrize(("text", "scale"), [("60x", 60.0), ("0.5", 0.5), ("virtual", None)])
def test_speeds_that_are_understood(text: str, scale: float | None) -> None:
    """A factor with or without x, or `virtual`."""
    assert parse_scale(text) == scale


@pytest.mark.parametrize("text", ["", "0", "-3x", "fast", "nan", "1e99"])
def test_speeds_that_are_refused_in_one_sentence(text: str) -> None:
    """A wrong speed is quoted, and what would be right is said."""
    with pytest.raises(ValueError, match=r"speed '.*' is not valid: give a factor"):
        parse_scale(text)
