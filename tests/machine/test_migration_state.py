"""machine.history and machine.migration.state: a guest arrives as it left, wherever in its life it is taken."""

from __future__ import annotations

import json
from random import Random
from time import perf_counter
from typing import Any

import pytest

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.machine import history
from qmpemu.machine.migration import state
from qmpemu.machine.runstate import PAUSED, RUNNING
from tests.driven import Driven

LINE = "-machine q35 -name w"


def guest(**environment: str) -> Driven:
    """A stock client that has just been switched on."""
    return Driven(LINE, **{"QMPEMU_GUEST": "windows-10", **environment})


def taken(driven: Driven) -> dict[str, Any]:
    """What a stream would carry."""
    carried: dict[str, Any] = json.loads(json.dumps(state.capture(driven.vm.machine)))
    return carried


def arrived(given: dict[str, Any], runstate: str = RUNNING, **environment: str) -> Driven:
    """Another machine, that waits and then goes on from `given`."""
    other = Driven(LINE + " -S", **environment)
    state.restore(other.vm.machine, given, runstate)
    assert other.heard() == [], "the past is heard only once"
    if other.vm.machine.board.runstate == RUNNING:
        other.vm.machine.board.runstate = PAUSED
        other.say("cont")
    return other


def guest_side(driven: Driven) -> list[str]:
    """The guest's own facts."""
    own = (fact for fact in driven.vm.facts.kept if type(fact).__module__.startswith(history.GUEST_SIDE))
    return [repr(fact) for fact in own]


ACTS = (
    "log_on",
    "edit_document:A.docx",
    "edit_document:B.xlsx",
    "lock",
    "unlock",
    "save_document:A.docx",
    "display_off",
)
DOORS = ("system_powerdown", "inject_nmi", "act", "act", "act", "stop", "wait", "wait")


def poke(driven: Driven, dice: Random) -> None:
    """Something from outside, then some time."""
    door = dice.choice(DOORS)
    if door == "act":
        name, _, value = dice.choice(ACTS).partition(":")
        driven.say(f"__org.qmpemu_{name}", **({"value": value} if value else {}))
    elif door == "stop":
        driven.say("stop")
        driven.run(dice.uniform(0, 20))
        driven.say("system_powerdown")
        driven.say("cont")
    elif door != "wait" and (door != "inject_nmi" or dice.random() < 0.1):
        driven.say(door)
    driven.run(dice.choice((0.0, 0.003, 1.7, dice.uniform(0, 90))))


@pytest.mark.parametrize("seed", range(25))
def test_taken_anywhere_a_guest_goes_on_as_the_one_that_stayed(seed: int) -> None:
    """Random acts, presses and pauses; taken at a random moment, both lives go on alike, to the last fact."""
    dice = Random(seed)
    settings = dice.choice(("", "pending_update=slow", "AutoEndTasks=1"))
    driven = guest(QMPEMU_SEED=str(seed), QMPEMU_SET=settings)
    driven.run(dice.uniform(0, 60))
    for _ in range(dice.randrange(8)):
        before = driven.vm.machine.board.runstate
        if before == RUNNING:
            poke(driven, dice)
    if driven.vm.exit_status is not None:  # the guest has ended: there is nobody to take
        assert driven.vm.machine.history.boot_ns is None
        return
    other = arrived(taken(driven), driven.vm.machine.board.runstate)
    assert other.vm.machine.history.facts == driven.vm.machine.history.facts
    mine, theirs = len(guest_side(driven)), len(guest_side(other))
    for each in (driven, other):
        poke(each, Random(seed))
        each.say("system_powerdown")
        each.run(4_000)
    assert guest_side(other)[theirs:] == guest_side(driven)[mine:]
    assert other.vm.exit_status == driven.vm.exit_status


def test_a_shutdown_in_progress_an_update_half_way_and_an_open_document_arrive() -> None:
    """The destination ends the shutdown that the source began, and its disk is what the source's would be."""
    driven = guest(QMPEMU_SET="pending_update=slow")
    driven.run(120)
    driven.say("__org.qmpemu_edit_document", value="Plan.docx")
    driven.say("__org.qmpemu_save_document", value="Plan.docx")
    driven.say("system_powerdown")
    driven.run(20)
    other = arrived(taken(driven))
    assert driven.run(7_200) == other.run(7_200)
    assert driven.facts()[-5:] == other.facts()[-5:]
    assert driven.vm.store is not None
    assert other.vm.store is not None
    assert driven.vm.store.load() == other.vm.store.load()


def test_a_sleeping_guest_wakes_on_the_other_machine() -> None:
    """S3 travels: the destination is suspended, and a wake-up finds the desktop."""
    driven = guest()
    driven.run(60)
    driven.say("__org.qmpemu_sleep")
    assert driven.run(30) == ["SUSPEND"]
    other = arrived(taken(driven), "suspended")
    assert other.say("query-status")[0]["return"]["status"] == "suspended"
    assert other.say("system_wakeup")[0]["event"] == "WAKEUP"
    other.run(10)
    assert other.say("__org.qmpemu_lock") == [{"return": {}}]
    again = arrived(taken(other))
    assert again.say("__org.qmpemu_unlock") == [{"return": {}}]


def test_a_machine_that_never_ran_and_one_whose_guest_is_gone_travel() -> None:
    """Nothing to live again: only the clock, the delay before the first instruction, and the disk."""
    idle = Driven(LINE + " -S", QMPEMU_GUEST="windows-10")
    other = arrived(taken(idle), "prelaunch", QMPEMU_GUEST="windows-10")
    other.say("cont")
    other.run(60)
    assert "BootCompleted" in other.facts()
    early = guest()
    early.run(0.05)
    other = arrived(taken(early), QMPEMU_GUEST="windows-10")
    assert early.run(60) == other.run(60)
    assert "BootCompleted" in other.facts()
    ended = Driven(LINE + " -no-shutdown", QMPEMU_GUEST="windows-10")
    ended.run(60)
    ended.say("system_powerdown")
    ended.run(600)
    assert taken(ended)["boot"] is None
    assert taken(ended)["disk"] is not None


def test_another_boot_than_the_source_had_is_refused() -> None:
    """A digest that does not fit, an input nobody takes, a foreign format: one sentence each."""
    driven = guest()
    driven.run(60)
    good = taken(driven)
    before_ns = good["now_ns"] - NS_PER_S
    for change, text in (
        ({"boot": {**good["boot"], "digest": "x"}}, "came out differently"),
        ({"boot": {**good["boot"], "inputs": [[before_ns, 0, "laser", "", ""]]}}, "no way in for: 'laser'"),
        ({"boot": {**good["boot"], "inputs": [[before_ns, 0, "nmi", "", ""]]}}, "differently"),
        ({"format": 1}, "format 1"),
        ({"boot": {"at_ns": 0}}, "damaged"),
    ):
        with pytest.raises(Refused, match=text):
            arrived({**good, **change})
    with pytest.raises(Refused, match="participants"):
        arrived(
            {**good, "boot": {**good["boot"], "origin": {**good["boot"]["origin"], "participants": ["x"]}}}
        )


def test_too_many_inputs_are_said_and_a_reset_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the guest works on and cannot travel; after a reset it can."""
    monkeypatch.setattr(history, "ENTRIES_MAX", 3)
    driven = guest()
    driven.run(60)
    for _ in range(5):
        driven.say("__org.qmpemu_open_document", value="A.docx")
    with pytest.raises(Refused, match="too many inputs"):
        state.capture(driven.vm.machine)
    driven.say("system_reset")
    driven.run(60)
    assert taken(driven)["boot"]["inputs"] == []


def test_days_of_uptime_are_lived_again_in_a_moment() -> None:
    """A week of an idle guest travels in less than a second."""
    driven = guest()
    driven.run(7 * 86_400)
    before = perf_counter()
    arrived(taken(driven), driven.vm.machine.board.runstate)
    assert perf_counter() - before < 1


def test_a_boot_without_duration_is_lived_again() -> None:
    """What a boot does at the very nanosecond of its beginning is counted from the same place on."""
    nothing = "boot_firmware_ms=0,boot_loader_ms=0,boot_kernel_ms=0,boot_services_ms=0"
    line = LINE + " -device virtio-serial-pci -device virtio-balloon-pci"
    driven = Driven(line, QMPEMU_GUEST="windows-10-cloud", QMPEMU_SET=nothing)
    driven.run(5)
    for _ in range(2):
        given = taken(driven)
        at_ns, ran, _ = given["boot"]["answers"]["hardware"][0]
        assert at_ns == given["boot"]["at_ns"], "asked for in the boot's first nanosecond"
        assert ran > given["boot"]["at_ran"] == 1
        driven = Driven(line + " -S")
        state.restore(driven.vm.machine, given, RUNNING)
