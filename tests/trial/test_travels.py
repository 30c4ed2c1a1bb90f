"""A guest that is moved in the middle of a scenario ends it as one that stayed: facts, verdict and disk."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmpemu.guests.guest import MemoryStore
from qmpemu.machine.history import GUEST_SIDE
from qmpemu.machine.host import Host
from qmpemu.machine.migration import state
from qmpemu.machine.runstate import PAUSED, RUNNING
from qmpemu.port import AGENT_PORT
from qmpemu.trial.runner import Stage
from qmpemu.trial.scenario import Act, Scenario
from qmpemu.verdict import Entry, verdict
from qmpemu.vm import VM
from tests.trial.test_properties import BLOCKING, FORCED, HARMLESS, PROFILE, SOFT, scenarios


class Moved(Stage):
    """A stage whose guest goes to another machine at some moments (seconds), by way of JSON as in a stream."""

    def __init__(self, scenario: Scenario, *moments: float) -> None:
        self.store = MemoryStore()
        super().__init__(scenario, PROFILE, self.store)
        self._moments = sorted(moments)
        self._own: list[tuple[int, str]] = []
        self._hear()

    def _hear(self) -> None:
        vm = self.vm
        vm.facts.subscribe(
            lambda fact: (
                self._own.append((fact.at_ns, repr(fact)))
                if type(fact).__module__.startswith(GUEST_SIDE)
                and not fact.name.startswith("Operator")  # what was done to it, and may find it just reset
                and vm is self.vm
                else None
            )
        )

    def _run_until(self, at_s: float) -> None:
        while self._moments and self._moments[0] <= at_s:
            super()._run_until(self._moments.pop(0))
            if self.vm.exit_status is None:
                self._move()
        super()._run_until(at_s)

    def _operator(self, act: Act) -> str:
        """As by the console's command: whoever moves must know what was done."""
        self.vm.execute(f"__org.qmpemu_{act.name}", {"value": act.argument} if act.argument else {})
        return ""

    def _move(self) -> None:
        """The former machine stands still from now on, as after a migration."""
        old = self.vm
        runstate = old.machine.board.runstate
        carried = json.loads(json.dumps(state.capture(old.machine)))
        old.machine.clock.stop()
        old.config.autostart = False
        new = VM(old.config, PROFILE, Host(), self._clock)
        new.machine.plugging.ports.add(AGENT_PORT, "agent", None)
        new.store = self.store = MemoryStore()
        new.participants = self._scenario.participants
        self.vm = new
        new.power_up()
        state.restore(new.machine, carried, PAUSED if runstate == RUNNING else runstate)
        self._entries[:] = [Entry.of(fact) for fact in new.facts.kept]
        new.facts.subscribe(lambda fact: self._entries.append(Entry.of(fact)) if new is self.vm else None)
        self._hear()
        if runstate == RUNNING:
            new.execute("cont", {})

    @property
    def boots(self) -> int:
        """How many boots are known here: on another machine, the one that arrived and those since."""
        return sum(entry.name == "GuestLoaded" for entry in self._entries)

    def verdict(self, boots: int) -> dict[str, Any]:
        """On that many latest boots; of what is past when a guest arrives, the times go by its own clock."""
        began = [at for at, entry in enumerate(self._entries) if entry.name == "GuestLoaded"][-boots]
        found = verdict(self._entries[began:])
        found["phases"] = [each["phase"] for each in found["phases"]]
        found["requests"] = [{**each, "at_s": None} for each in found["requests"]]
        return found

    @property
    def end(self) -> tuple[list[tuple[int, str]], bytes | None]:
        """What the guest said, in order and with the times, and its disk."""
        return self._own, self.store.load()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenarios(HARMLESS, BLOCKING, SOFT, FORCED), st.lists(st.floats(0, 1000), min_size=1, max_size=3))
def test_a_guest_that_was_moved_ends_as_one_that_stayed(scenario: Scenario, moments: list[float]) -> None:
    """At random moments, once to three times: the same facts at the same times, verdict and disk."""
    stayed, moved = Moved(scenario), Moved(scenario, *moments)
    for each in (stayed, moved):
        each.run()
    assert moved.end == stayed.end
    assert moved.verdict(moved.boots) == stayed.verdict(moved.boots)
