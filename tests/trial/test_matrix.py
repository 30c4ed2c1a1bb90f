"""Presets, causes and remedies as the mission states them (C1 to C7, P1): outcomes written by hand, not computed."""

from __future__ import annotations

import pytest

from qmpemu.edge import shipped
from qmpemu.trial import remedies
from qmpemu.trial.runner import play
from qmpemu.trial.scenario import Act, Scenario

PROFILE = shipped.profile(None)
PRESS = Act(90, "power_button")
STOCK = ("windows-10", "windows-11", "windows-server-2016", "windows-server-2019", "windows-server-2022")
CLOUD = tuple(f"{name}-cloud" for name in STOCK)
SERVERS = tuple(name for name in STOCK if "server" in name)
LOGGED_ON = Act(5, "log_on")

CAUSES: dict[str, tuple[tuple[Act, ...], dict[str, str], str, str | None]] = {
    "C1": ((Act(30, "stage_update", "stuck"),), {"BlockTimeIncrement": "0"}, "stalled", "C1"),
    "C2": ((Act(30, "service_error", "Spooler"),), {"ShutdownReasonOn": "1"}, "stalled", "C2"),
    "C3": ((Act(30, "log_off"),), {"ShutdownWithoutLogon": "0"}, "discarded", "C3"),
    "C4-veto": ((Act(30, "veto_app", "cad.exe"),), {"AutoEndTasks": "0", "SHUTDOWN": "0"}, "stalled", "C4"),
    "C4-hang": ((Act(30, "hang_app", "cad.exe"),), {"AutoEndTasks": "0", "SHUTDOWN": "0"}, "stalled", "C4"),
    "C4-document": (
        (Act(30, "edit_document", "Report.docx"),),
        {"AutoEndTasks": "0", "SHUTDOWN": "0"},
        "stalled",
        "C4",
    ),
    "C5": ((), {"PBUTTONACTION": "0"}, "ignored", "C5"),
    "C6": ((Act(30, "sleep"),), {}, "unprocessed", "C6"),
    "C7-disable_button": ((Act(30, "infect", "disable_button"),), {}, "lost", "C7"),
    "C7-swallow_button": ((Act(30, "infect", "swallow_button"),), {}, "ignored", "C7"),
    "C7-respawn_veto": ((Act(30, "infect", "respawn_veto"),), {}, "stalled", "C7"),
    "C7-broken_session_manager": ((Act(30, "infect", "broken_session_manager"),), {}, "stalled", "C7"),
    "C7-abort_shutdown": ((Act(30, "infect", "abort_shutdown"),), {}, "cancelled", "C7"),
}
"""Cause -> what brings it about, the settings that let it, and what one press then comes to."""

REMEDIES = {
    "C2": "ShutdownReasonOn=0",
    "C3": "ShutdownWithoutLogon=1",
    "C4-veto": "AutoEndTasks=1",
    "C4-hang": "AutoEndTasks=1",
    "C4-document": "save the documents first",
    "C5": "PBUTTONACTION=3",
    "C6": "wake it first",
}
"""What the mission names as the remedy of each cause; C1 has patience, C7 none."""


def made(guest: str, cause: str, *, logged_on: bool = True) -> Scenario:
    """One press of the button where only this is wrong."""
    acts, settings, _, _ = CAUSES[cause]
    first = (LOGGED_ON,) if logged_on and guest in (*SERVERS, *(f"{name}-cloud" for name in SERVERS)) else ()
    given = {"VIDEOIDLE": "0", **settings}
    return Scenario(guest=guest, settings=tuple(given.items()), acts=(*first, *acts, PRESS))


@pytest.mark.parametrize("guest", [*STOCK, *CLOUD])
@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_in_each_preset(guest: str, cause: str) -> None:
    """A user's own settings can bring every cause back, in a tuned image as well (P1)."""
    _, _, outcome, mission = CAUSES[cause]
    found = play(made(guest, cause), PROFILE).verdict()
    assert (found["outcome"], found["cause"]) == (outcome, mission), found


@pytest.mark.parametrize("guest", [*STOCK, *CLOUD])
def test_a_press_completes_where_nothing_is_wrong(guest: str) -> None:
    """Somebody is logged on, nothing runs that refuses: the power goes off, nothing is lost, volumes are clean."""
    acts = (LOGGED_ON, PRESS) if "server" in guest else (PRESS,)
    found = play(Scenario(guest=guest, settings=(("VIDEOIDLE", "0"),), acts=acts), PROFILE).verdict()
    assert found["outcome"] == "completed"
    assert found["lost"] == {"documents": [], "services": [], "update": [], "volumes": []}
    assert found["events"][-4:] == [1074, 6006, 109, 13]


@pytest.mark.parametrize("guest", CLOUD)
@pytest.mark.parametrize("cause", ["C2", "C3", "C4-veto", "C4-hang", "C4-document"])
def test_a_tuned_image_has_most_causes_set_away(guest: str, cause: str) -> None:
    """P1: what happens inside does not keep a tuned image from shutting down."""
    acts, _, _, _ = CAUSES[cause]
    first = (LOGGED_ON,) if "server" in guest else ()
    found = play(Scenario(guest=guest, acts=(*first, *acts, PRESS)), PROFILE).verdict()
    assert found["outcome"] == "completed"


@pytest.mark.parametrize("guest", SERVERS)
def test_a_stock_server_discards_the_press_while_nobody_is_logged_on(guest: str) -> None:
    """C3: as it comes out of the box."""
    found = play(Scenario(guest=guest, acts=(PRESS,)), PROFILE).verdict()
    assert (found["outcome"], found["cause"], found["setting"]) == ("discarded", "C3", "ShutdownWithoutLogon")


@pytest.mark.parametrize("cause", REMEDIES)
def test_the_remedy_of_each_cause(cause: str) -> None:
    """What the mission names as remedy is found, and completes the same shutdown."""
    found = remedies.what_if(made("windows-server-2022", cause), PROFILE, None)
    assert REMEDIES[cause] in [each["remedy"] for each in found]
    assert all(each["off_at_s"] > 90 for each in found)


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.startswith("C7")])
def test_no_setting_remedies_malware(cause: str) -> None:
    """C7: no setting guarantees it."""
    found = remedies.what_if(made("windows-server-2022", cause), PROFILE, None)
    assert [each for each in found if each["kind"] == "setting"] == []


def test_patience_is_the_remedy_of_a_slow_update() -> None:
    """S4: forced after 60 s, it says how much longer waiting would have taken."""
    acts = (Act(30, "stage_update", "slow"), PRESS, Act(150, "sigkill"))
    scenario = Scenario("windows-10", (("VIDEOIDLE", "0"),), acts)
    found = play(scenario, PROFILE).verdict()
    assert (found["outcome"], found["cause"]) == ("forced", "C1")
    assert found["lost"]["update"] == ["installing 0 %"]
    waited = remedies.patience(scenario, PROFILE, None, 150)
    assert waited["would_complete"] is True
    assert 2_600 < waited["longer_s"] < 2_700


def test_patience_does_not_help_against_a_veto() -> None:
    """S4: a full-screen wait has no limit."""
    scenario = made("windows-10", "C4-veto")
    scenario = scenario._replace(acts=(*scenario.acts, Act(150, "quit")))
    assert remedies.patience(scenario, PROFILE, None, 150) == {"would_complete": False, "longer_s": None}


def test_a_remedy_that_costs_documents_says_so() -> None:
    """Ending tasks without asking loses what was not saved; saving first loses nothing, and stands before it."""
    found = remedies.what_if(made("windows-10", "C4-document"), PROFILE, None)
    by_name = {each["remedy"]: each["lost"] for each in found}
    assert by_name["AutoEndTasks=1"] == ["WINWORD.EXE: Report.docx"]
    assert by_name["save the documents first"] == []
    names = [each["remedy"] for each in found]
    assert names.index("save the documents first") < names.index("AutoEndTasks=1")


def test_two_causes_need_two_remedies() -> None:
    """Combined causes: no single setting is enough, both together are."""
    scenario = made("windows-server-2022", "C4-veto").with_setting("PBUTTONACTION", "0")
    assert play(scenario, PROFILE).verdict()["outcome"] == "ignored"
    settings = [each for each in remedies.what_if(scenario, PROFILE, None) if each["kind"] == "setting"]
    assert settings == []
    both = scenario.with_setting("PBUTTONACTION", "3").with_setting("AutoEndTasks", "1")
    assert play(both, PROFILE).verdict()["outcome"] == "completed"


def test_one_seed_one_history() -> None:
    """The same scenario gives the same facts, times included; another seed may give others."""
    scenario = Scenario("windows-10", (("boot_jitter_percent", "50"),), (PRESS,), seed="7")
    first, again = play(scenario, PROFILE), play(scenario, PROFILE)
    assert first.entries == again.entries
    assert play(scenario._replace(seed="8"), PROFILE).entries != first.entries


@pytest.mark.parametrize(
    "pair", [(a, b) for number, a in enumerate(CAUSES) for b in list(CAUSES)[number + 1 :]], ids="+".join
)
def test_any_two_causes_together(pair: tuple[str, str]) -> None:
    """Two causes at once keep it from completing, and one of the two is named."""
    first, second = (CAUSES[name] for name in pair)
    settings = {"VIDEOIDLE": "0", **first[1], **second[1]}
    acts = sorted(
        {*first[0], *second[0]}, key=lambda act: act.name == "sleep"
    )  # nobody acts in a sleeping Windows
    scenario = Scenario(
        "windows-server-2022",
        tuple(settings.items()),
        (LOGGED_ON, *(a._replace(at_s=30) for a in acts), PRESS),
    )
    found = play(scenario, PROFILE).verdict()
    assert found["outcome"] != "completed"
    assert found["cause"] in {first[3], second[3]}, found
