"""Plays a scenario: the whole machine below the edge, its guest and its acts, on a clock that never waits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from qmpemu.core.clock import NS_PER_S, Clock
from qmpemu.core.table import Refused
from qmpemu.guests.guest import MemoryStore
from qmpemu.guests.windows import operator
from qmpemu.machine.config import MachineConfig
from qmpemu.machine.host import Host
from qmpemu.port import AGENT_PORT
from qmpemu.qmp.errors import QmpError
from qmpemu.trial.scenario import HOST_ACTS, ScenarioError
from qmpemu.verdict import Entry, verdict
from qmpemu.vm import VM

if TYPE_CHECKING:
    from qmpemu.guests.guest import Store
    from qmpemu.profile import Profile
    from qmpemu.trial.scenario import Act, Scenario

IDLE_S = 120
"""From the end of a boot to the beginning of a trial that does not start at power-on."""
BOOT_S_MAX = 24 * 3600
"""A boot takes at most this long: a slow update is undone, chkdsk runs."""
BOOT_STEP_S = 1
STARTED = ("BootCompleted", "HibernationEnded")
"""The facts with which a boot is over."""


class Note(NamedTuple):
    """An act that could not be done, or said something."""

    at_s: float
    act: str
    text: str


class Trial(NamedTuple):
    """A trial that is over. entries: its facts, their times counted from its beginning. ended: the machine is off."""

    entries: list[Entry]
    notes: list[Note]
    ended: bool

    def verdict(self) -> dict[str, Any]:
        """What became of it (docs/verdict.md)."""
        return verdict(self.entries)


def play(scenario: Scenario, profile: Profile, store: Store | None = None) -> Trial:
    """Play a scenario from beginning to end. store: the disk it boots from and leaves behind. Raises ScenarioError."""
    stage = Stage(scenario, profile, store or MemoryStore())
    stage.run()
    return stage.trial()


class Stage:
    """One machine on its virtual clock."""

    def __init__(self, scenario: Scenario, profile: Profile, store: Store) -> None:
        self._scenario = scenario
        self._clock = Clock()
        self._notes: list[Note] = []
        self._entries: list[Entry] = []
        self._began_ns = 0
        config = MachineConfig()
        config.machine, config.nodefaults = "pc-q35-7.2", True
        config.guest, config.settings, config.seed = scenario.guest, dict(scenario.settings), scenario.seed
        self.vm = VM(config, profile, Host(), self._clock)
        self.vm.machine.plugging.ports.add(AGENT_PORT, "agent", None)
        self.vm.store = store
        self.vm.participants = scenario.participants
        self.vm.facts.subscribe(lambda fact: self._entries.append(Entry.of(fact)))

    def run(self) -> None:
        """Boot, wait for the idle state, act, and let the rest of the time pass."""
        self.vm.power_up()
        if not self._scenario.boot:
            self._boot()
        self._began_ns = self._clock.now_ns
        for act in sorted(self._scenario.acts, key=lambda act: act.at_s):
            if act.at_s > self._scenario.until_s or self.vm.exit_status is not None:
                break
            self._run_until(act.at_s)
            self._perform(act)
        self._run_until(self._scenario.until_s)

    def trial(self) -> Trial:
        """What it has come to."""
        began_s = self._began_ns / NS_PER_S
        entries = [entry._replace(at_s=round(entry.at_s - began_s, 9)) for entry in self._entries]
        return Trial(entries, self._notes, self.vm.exit_status is not None)

    def _boot(self) -> None:
        """Until two minutes after Windows has started."""
        for _ in range(BOOT_S_MAX // BOOT_STEP_S):
            self._clock.run_until(self._clock.now_ns + BOOT_STEP_S * NS_PER_S)
            if any(entry.name in STARTED for entry in self._entries):
                break
        else:
            raise ScenarioError("the guest does not start within a day: use --boot to see why")
        self._clock.run_until(self._clock.now_ns + IDLE_S * NS_PER_S)

    def _run_until(self, at_s: float) -> None:
        if self.vm.exit_status is None:
            self._clock.run_until(self._began_ns + int(at_s * NS_PER_S))

    def _perform(self, act: Act) -> None:
        """Do one act; what cannot be done is a note."""
        if self.vm.exit_status is not None:
            self._note(act, "the machine is off")
            return
        try:
            said = self._host(act) if act.name in HOST_ACTS else self._operator(act)
        except (QmpError, Refused, operator.OperatorError) as error:
            said = str(error)
        self.vm.machine.settle()
        if said:
            self._note(act, said)

    def _note(self, act: Act, text: str) -> None:
        self._notes.append(Note(act.at_s, str(act), text))

    def _operator(self, act: Act) -> str:
        def wake() -> None:
            self.vm.execute("system_wakeup", {})

        return operator.of(self.vm.guest, wake).do(act.name, act.argument)

    def _host(self, act: Act) -> str:
        match act.name:
            case "power_button":
                self.vm.execute("system_powerdown", {})
            case "wakeup":
                self.vm.execute("system_wakeup", {})
            case "sigkill":
                self.vm.terminate(9)
            case "agent_shutdown":
                return self._agent(act.argument or "powerdown")
            case name:
                self.vm.execute(name, {})
        return ""

    def _agent(self, mode: str) -> str:
        port = self.vm.machine.ports[AGENT_PORT]
        if not port.guest_open:
            return "no guest agent answers: it is absent, stopped, or Windows has not started it"
        message = json.dumps({"execute": "guest-shutdown", "arguments": {"mode": mode}})
        self.vm.facts.run(None, lambda: port.host_write(message.encode() + b"\n"))
        return ""
