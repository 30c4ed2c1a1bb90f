"""What holds of any scenario: a soft end that completed lost nothing, one seed has one history, any disk boots."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmpemu.edge import shipped
from qmpemu.guests.guest import MemoryStore
from qmpemu.trial.runner import Stage, Trial, play
from qmpemu.trial.scenario import Act, Scenario

PROFILE = shipped.profile(None)
GUESTS = st.sampled_from(
    ["windows-10", "windows-server-2022", "windows-server-2016-cloud", "windows-11-cloud"]
)
NAMES = st.sampled_from(["Plan.docx", "Notes.txt"])
HARMLESS = st.one_of(
    st.sampled_from([("log_on", "Ada"), ("log_off", ""), ("lock", ""), ("unlock", ""), ("display_off", "")]),
    st.sampled_from([("press_key", ""), ("sleep", ""), ("wakeup", ""), ("stage_update", "quick")]),
    st.tuples(st.sampled_from(["open_document", "save_document"]), NAMES),
)
"""Acts that block nothing."""
BLOCKING = st.one_of(
    st.tuples(st.just("edit_document"), NAMES),
    st.tuples(st.sampled_from(["hang_app", "veto_app"]), st.just("cad.exe")),
    st.tuples(st.sampled_from(["service_error", "hang_service"]), st.just("Spooler")),
    st.tuples(st.just("answer_prompt"), st.sampled_from(["", "cancel", "save"])),
)
SOFT = st.sampled_from([("power_button", ""), ("shutdown_exe", "/s /t 0")])
FORCED = st.sampled_from([("quit", ""), ("sigkill", ""), ("system_reset", "")])
KINDLY = {
    "SHUTDOWN": "0",
    "AutoEndTasks": "0",
    "VIDEOIDLE": "0",
    "ShutdownWithoutLogon": "1",
    "ShutdownReasonOn": "0",
}
"""Nothing is overruled, nothing discarded."""


def scenarios(*acts: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[Scenario]:
    """Scenarios of these acts, at any times of a quarter of an hour."""
    act = st.tuples(st.floats(0, 900, allow_nan=False), st.one_of(*acts))
    made = st.lists(act.map(lambda pair: Act(pair[0], *pair[1])), max_size=8)
    return st.builds(
        lambda guest, acts, seed: Scenario(guest, tuple(KINDLY.items()), tuple(acts), seed=str(seed)),
        GUESTS,
        made,
        st.integers(0, 99),
    )


any_scenario = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@any_scenario
@given(scenarios(HARMLESS, BLOCKING, SOFT))
def test_a_soft_end_that_completed_lost_nothing(scenario: Scenario) -> None:
    """Where nobody forces and no setting overrules, a power-off costs no document and leaves clean volumes."""
    trial = play(scenario, PROFILE)
    found = trial.verdict()
    if trial.ended and not any(entry.name == "Bugchecked" for entry in trial.entries):
        answered = any(act.name == "answer_prompt" and act.argument != "save" for act in scenario.acts)
        assert found["lost"]["volumes"] == found["lost"]["update"] == []
        assert answered or found["lost"]["documents"] == []


@any_scenario
@given(scenarios(HARMLESS))
def test_power_off_is_reached_where_nobody_blocks(scenario: Scenario) -> None:
    """Whatever happens before, a press (after a key that wakes it) ends in a power-off with all of Windows' events."""
    last = (Act(950, "press_key"), Act(960, "power_button"))
    trial = play(scenario._replace(acts=(*scenario.acts, *last), until_s=1_500), PROFILE)
    assert trial.verdict()["outcome"] == "completed"
    assert trial.verdict()["events"][-4:] == [1074, 6006, 109, 13]


@any_scenario
@given(scenarios(HARMLESS, BLOCKING, SOFT, FORCED))
def test_one_seed_one_history(scenario: Scenario) -> None:
    """The same scenario gives the same facts, byte for byte."""
    assert repr(play(scenario, PROFILE)) == repr(play(scenario, PROFILE))


def is_up(trial: Trial) -> bool:
    """Whether Windows runs at the end."""
    phases = [entry.data["phase"] for entry in trial.entries if entry.name == "PhaseEntered"]
    return not trial.ended and phases[-1:] == ["running"]


class Snapshots(MemoryStore):
    """A store that remembers everything it ever held."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[bytes] = []

    def save(self, data: bytes) -> None:
        super().save(data)
        self.held.append(data)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenarios(HARMLESS, BLOCKING, SOFT, FORCED))
def test_killed_at_any_change_of_the_disk_the_next_boot_comes_up(scenario: Scenario) -> None:
    """Between two saves a kill leaves the same disk: each one ever held boots, up to a running Windows."""
    store = Snapshots()
    stage = Stage(scenario, PROFILE, store)
    stage.run()
    for data in dict.fromkeys(store.held):
        assert is_up(play(Scenario(scenario.guest, until_s=5), PROFILE, MemoryStore(data)))
