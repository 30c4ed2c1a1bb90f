"""guests.windows.faults: every failure mode's own claim, run on the virtual clock; and what C7 withstands."""

from __future__ import annotations

import pytest

from qmpemu.guests.registry import GuestError
from qmpemu.guests.windows.faults import registry
from qmpemu.guests.windows.faults.registry import Fault
from qmpemu.verdict import Entry, verdict
from tests.guests.rig import CLIENT, CLOUD_SERVER, Rig

FAULTS = list(registry.faults().values())
REMEDIES = [(fault, setting) for fault in FAULTS for setting in fault.remedies]
INFECTIONS = [fault for fault in FAULTS if fault.target == registry.INFECTION]

DAY_S = 24 * 3600
WILLING = {"AutoEndTasks": "1", "SHUTDOWN": "1", "ShutdownWithoutLogon": "1", "VIDEOIDLE": "0"}
"""Every setting that lets a shutdown through where something else than C7 stops it."""


def _settings(*texts: str) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def failing(fault: Fault, settings: dict[str, str], name: str = CLIENT) -> Rig:
    """A booted Windows where this, and nothing else, is wrong."""
    rig = Rig(name, {"VIDEOIDLE": "0", **settings}).boot()
    rig.facts.run(None, lambda: registry.attach(rig.windows, fault.name))
    return rig.run(60)


def found(rig: Rig) -> dict[str, object]:
    return verdict([Entry.of(fact) for fact in rig.facts.kept])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_claim_of_each(fault: Fault) -> None:
    """One press, a day later: the outcome is what the fault claims, and a stopped one is of its cause."""
    judged = found(failing(fault, _settings(*fault.needs)).press(DAY_S))
    assert judged["outcome"] == fault.claim
    assert judged["cause"] == (None if fault.claim in ("completed", "crashed") else fault.cause)


@pytest.mark.parametrize(("fault", "setting"), REMEDIES, ids=lambda each: getattr(each, "name", each))
def test_each_remedy(fault: Fault, setting: str) -> None:
    """The same press completes with the remedy."""
    rig = failing(fault, _settings(*fault.needs, setting)).press(600)
    assert found(rig)["outcome"] == "completed"


@pytest.mark.parametrize("name", [CLIENT, CLOUD_SERVER])
@pytest.mark.parametrize("fault", INFECTIONS, ids=lambda fault: fault.name)
def test_c7_no_setting_removes_it(fault: Fault, name: str) -> None:
    """With every willing setting on, logged on or not, the press does not lead to a shutdown, and C7 is named."""
    rig = failing(fault, WILLING, name).press(DAY_S)
    assert rig.board.exit_status is None
    judged = found(rig)
    assert (judged["cause"], judged["decisive"]) == ("C7", fault.name)


@pytest.mark.parametrize("fault", INFECTIONS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("force", [False, True])
def test_c7_and_the_other_door(fault: Fault, force: bool) -> None:
    """What damages only the button leaves the agent's door open; what damages the shutdown itself closes that too."""
    rig = failing(fault, WILLING)
    rig.ask(lambda: rig.windows.request_shutdown("guest agent", "power off", force=force))
    rig.run(DAY_S)
    stopped = fault.name in ("respawn_veto", "broken_session_manager", "abort_shutdown")
    assert (rig.board.exit_status is None) == stopped


@pytest.mark.parametrize("fault", INFECTIONS, ids=lambda fault: fault.name)
def test_c7_from_the_first_boot(fault: Fault) -> None:
    """A Windows that is damaged on its disk comes up damaged, and again after a reset."""
    rig = Rig(CLIENT, {"VIDEOIDLE": "0"}, infections=(fault.name,)).boot()
    rig.ask(lambda: rig.board.request_reset(guest=False, reason="host-qmp-system-reset"))
    rig.run(60).press(DAY_S)
    assert rig.board.exit_status is None
    judged = found(rig)
    assert (judged["outcome"], judged["cause"], judged["decisive"]) == (fault.claim, "C7", fault.name)


def test_five_kinds_of_infection() -> None:
    """C7 has the five kinds of the mission, and they are exactly what `infect` can do."""
    kinds = ["abort_shutdown", "broken_session_manager", "disable_button", "respawn_veto", "swallow_button"]
    assert registry.infections() == kinds
    assert {fault.cause for fault in INFECTIONS} == {"C7"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_explains_itself(fault: Fault) -> None:
    """A row for people: a sentence about what it does, a cause of the mission, a remedy or the word none."""
    assert fault.does.endswith(".")
    assert fault.cause in ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "F7")
    assert fault.remedy
    assert fault.name in [row[0] for row in registry.rows()]


def test_a_wrong_name_is_one_sentence() -> None:
    """A fault that does not exist is answered with the nearest one."""
    with pytest.raises(
        GuestError, match=r"^fault 'respawn-vet' does not exist: did you mean 'respawn_veto'\?$"
    ):
        registry.find("respawn-vet")


def test_disabled_means_the_register() -> None:
    """disable_button clears PWRBTN_EN, so the machine itself loses the press, also after sleep."""
    rig = failing(registry.find("disable_button"), {"PBUTTONACTION": "3"})
    assert not rig.acpi.pm1_en & 0x100
    assert rig.press(1).all("ButtonLost")


def test_respawning_is_told_a_few_times_only() -> None:
    """A process that is killed and started again for a whole day does not fill the history."""
    rig = failing(registry.find("respawn_veto"), WILLING)
    before = len(rig.facts.kept)
    assert len(rig.press(DAY_S).facts.kept) - before < 150
