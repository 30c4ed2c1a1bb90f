"""verdict: what the facts of a run say about why it ended as it did; machines driven in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from qmpemu.verdict import OUTCOMES, Entry, verdict
from tests.driven import Driven
from tests.guests.rig import CLOUD_SERVER, Rig


def judged(driven: Driven) -> dict[str, Any]:
    return verdict([Entry.of(fact) for fact in driven.vm.facts.kept])


def booted(**environment: str) -> Driven:
    driven = Driven(**environment)
    driven.run(300)
    return driven


def outcome(found: dict[str, Any]) -> tuple[object, ...]:
    return found["outcome"], found["cause"], found["setting"]


def test_a_completed_shutdown() -> None:
    """Off by itself: no cause, nothing lost, Windows' events in order."""
    driven = booted()
    driven.say("system_powerdown")
    driven.run(600)
    found = judged(driven)
    assert outcome(found) == ("completed", None, None)
    assert found["lost"] == {"documents": [], "services": [], "update": [], "volumes": []}
    assert found["events"] == [6005, 1074, 6006, 109, 13]
    assert found["off_at_s"] > 300


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("PBUTTONACTION=0", ("ignored", "C5", "PBUTTONACTION")),
        ("PBUTTONACTION=1", ("slept", None, "PBUTTONACTION")),
        ("PBUTTONACTION=2", ("hibernated", None, "PBUTTONACTION")),
        ("ShutdownWithoutLogon=0", ("discarded", "C3", "ShutdownWithoutLogon")),
        ("VIDEOIDLE=60", ("woke_display", None, "VIDEOIDLE")),
    ],
)
def test_one_press(settings: str, expected: tuple[object, ...]) -> None:
    """Each setting leads to its own outcome, and is named."""
    driven = booted(QMPEMU_SET=settings)
    driven.say("system_powerdown")
    driven.run(600)
    assert outcome(judged(driven)) == expected


def test_a_press_during_boot_is_lost_and_one_while_asleep_is_not_processed() -> None:
    """The registers lose the one (no cause of the mission), S3 the other (C6)."""
    early = Driven()
    early.run(1)
    early.say("system_powerdown")
    assert outcome(judged(early)) == ("lost", None, None)
    asleep = booted(QMPEMU_SET="PBUTTONACTION=1")
    asleep.say("system_powerdown")
    asleep.run(60)
    asleep.say("system_powerdown")
    asleep.run(60)
    assert [each["outcome"] for each in judged(asleep)["requests"]] == ["slept", "unprocessed"]
    assert judged(asleep)["cause"] == "C6"


def test_a_forced_end_keeps_the_cause_of_the_soft_request_before_it() -> None:
    """Ignored, then quit: forced because of C5, the volume stays dirty."""
    driven = booted(QMPEMU_SET="PBUTTONACTION=0")
    driven.say("system_powerdown")
    driven.run(60)
    driven.say("quit")
    found = judged(driven)
    assert outcome(found) == ("forced", "C5", "PBUTTONACTION")
    assert [(each["door"], each["outcome"]) for each in found["requests"]] == [
        ("power button", "ignored"),
        ("host-qmp-quit", "forced"),
    ]
    assert found["lost"]["volumes"] == ["C:"]


def test_a_machine_nobody_asked() -> None:
    """Running: no requests."""
    found = judged(booted())
    assert (found["outcome"], found["requests"], found["off_at_s"]) == ("running", [], None)


def test_a_crash() -> None:
    """A shutdown that ends in a bugcheck is not called completed."""
    driven = booted(QMPEMU_SET="AutoReboot=0")
    driven.say("system_powerdown")
    driven.run(0.3)
    driven.say("inject-nmi")
    driven.run(60)
    assert judged(driven)["outcome"] in OUTCOMES
    assert judged(driven)["outcome"] != "completed"


@pytest.mark.parametrize(
    ("setting", "fact"), [("agent_hangs_at", "AgentHung"), ("agent_dies_at", "AgentDied")]
)
def test_an_agent_that_never_asked_windows(setting: str, fact: str) -> None:
    """A guest-shutdown that the agent did not carry out is a request of its own, with the setting behind it."""
    rig = Rig(CLOUD_SERVER, {setting: "guest-shutdown"}).boot()
    rig.send(b'{"execute": "guest-shutdown"}', 60)
    assert len(rig.all(fact)) == 1
    found = verdict([Entry.of(each) for each in rig.facts.kept])
    (request,) = found["requests"]
    assert (request["door"], request["outcome"]) == ("guest agent", "unprocessed")
    assert (request["setting"], request["decisive"]) == (setting, "guest agent")
