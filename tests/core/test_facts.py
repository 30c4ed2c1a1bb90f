"""core.facts: numbering, causes, limits."""

import pytest

from qmpemu.core.facts import Bus, Fact


class Pressed(Fact):
    door: str


class Latched(Pressed):
    again: bool = False


def test_facts_are_numbered_stamped_and_chained() -> None:
    """A chained fact is the cause of the next one."""
    bus = Bus(lambda: 42)
    first = bus.chain(Pressed(door="button"))
    second = bus.publish(Latched(door="button"))
    assert (first.seq, second.seq, second.at_ns) == (0, 1, 42)
    assert list(second.causes()) == [first]
    assert second.data() == {"door": "button", "again": False}
    assert repr(second) == "Latched(door='button', again=False)"


def test_subscribers_hear_facts_in_order() -> None:
    """Every subscriber hears every fact once, in order."""
    bus, heard = Bus(lambda: 0), []
    bus.subscribe(heard.append)
    facts = [bus.publish(Pressed(door=str(i))) for i in range(3)]
    assert heard == facts


def test_the_bus_keeps_a_limited_number_and_cuts_chains() -> None:
    """The oldest facts are dropped, and what was dropped keeps nothing older alive."""
    bus = Bus(lambda: 0, keep=2)
    facts = [bus.chain(Pressed(door=str(i))) for i in range(4)]
    assert (list(bus.kept), bus.dropped) == (facts[2:], 2)
    assert list(facts[3].causes()) == [facts[2], facts[1]]


@pytest.mark.parametrize("values", [{}, {"door": "x", "wrong": 1}])
def test_a_fact_with_wrong_fields_is_our_bug_and_raises(values: dict[str, object]) -> None:
    """Missing and unknown fields do not pass."""
    with pytest.raises((TypeError, AttributeError)):
        Pressed(**values)
