"""trial.replay: a run that was logged is played again, so that `explain` can say what would have helped."""

from __future__ import annotations

import pytest

from qmpemu.edge import shipped
from qmpemu.trial import remedies
from qmpemu.trial.replay import scenario_of
from qmpemu.trial.runner import play
from qmpemu.trial.scenario import Act, Scenario
from qmpemu.verdict import Entry, verdict
from tests.driven import Driven

PROFILE = shipped.profile(None)


def entries(driven: Driven) -> list[Entry]:
    """The facts of a run."""
    return [Entry.of(fact) for fact in driven.vm.facts.kept]


def test_a_run_becomes_a_scenario() -> None:
    """Guest, settings, seed, and every act with its time."""
    driven = Driven("-machine q35", QMPEMU_GUEST="windows-10", QMPEMU_SET="VIDEOIDLE=0", QMPEMU_SEED="5")
    driven.run(60)
    driven.say("__org.qmpemu_edit_document", value="Plan.docx")
    driven.run(30)
    driven.say("system_powerdown")
    driven.run(60)
    driven.say("quit")
    made = scenario_of(entries(driven))
    assert made == Scenario(
        guest="windows-10",
        settings=(("VIDEOIDLE", "0"),),
        acts=(Act(60.0, "edit_document", "Plan.docx"), Act(90.0, "power_button"), Act(150.0, "quit")),
        until_s=150.0,
        seed="5",
        boot=True,
    )
    assert play(made, PROFILE).verdict()["requests"] == verdict(entries(driven))["requests"]
    names = [each["remedy"] for each in remedies.what_if(made, PROFILE, None)]
    assert {"save the documents first", "AutoEndTasks=1"} <= set(names)


@pytest.mark.parametrize("line", ["-machine none", "-machine q35 -S"])
def test_a_run_without_a_guest_is_no_scenario(line: str) -> None:
    """Nothing booted: there is nothing to play again."""
    assert scenario_of(entries(Driven(line))) is None


def test_a_paused_run_is_not_played_again() -> None:
    """Where the machine stood still its times are not the host's."""
    driven = Driven("-machine q35")
    driven.run(60)
    driven.say("stop")
    assert scenario_of(entries(driven)) is None


@pytest.mark.parametrize(
    ("asked", "played"),
    [("guest-ping", True), ("guest-shutdown", True), ("guest-fsfreeze-freeze", False), ("guest-exec", False)],
)
def test_what_the_agent_did(asked: str, played: bool) -> None:
    """A shutdown by the agent is played again; what no act of a scenario does is not pretended to be."""
    driven = Driven(
        "-machine q35 -device virtio-serial-pci -chardev null,id=c0 "
        "-device virtserialport,chardev=c0,name=org.qemu.guest_agent.0"
    )
    driven.run(60)
    message = b'{"execute": "%b", "arguments": {%b}}' % (
        asked.encode(),
        b'"path": "hostname"' if asked == "guest-exec" else b"",
    )
    port = driven.vm.machine.ports["org.qemu.guest_agent.0"]
    driven.vm.facts.run(None, lambda: port.host_write(message))
    driven.run(60)
    made = scenario_of(entries(driven))
    assert (made is not None) is played
    if made is not None and asked == "guest-shutdown":
        assert [act.name for act in made.acts] == ["agent_shutdown"]
