"""What-if: the same seed again with one thing changed, for each thing that might help.

stalled, ignored, lost ...  ──each remedy alone──> would it have completed, and when?
forced                      ──without the force──> how much longer would waiting have taken? (mission S4)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qmpemu.guests import registry
from qmpemu.guests.guest import MemoryStore
from qmpemu.trial.runner import play
from qmpemu.trial.scenario import Act

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.profile import Profile
    from qmpemu.trial.scenario import Scenario

SETTINGS = (
    ("PBUTTONACTION", "3"),
    ("ShutdownWithoutLogon", "1"),
    ("AutoEndTasks", "1"),
    ("SHUTDOWN", "1"),
    ("ShutdownReasonOn", "0"),
    ("VIDEOIDLE", "0"),
    ("VIDEOCONLOCK", "0"),
)
"""Settings that remove a cause, each by itself."""

FORCES = frozenset({"quit", "sigkill", "system_reset"})
SOFT = frozenset({"power_button", "agent_shutdown", "shutdown_exe"})
WAIT_S = 6 * 3600.0
"""How much longer a trial is let go on to see whether waiting would have been enough."""


class Remedy(NamedTuple):
    """One change. kind: setting, act or patience."""

    name: str
    kind: str
    scenario: Scenario


def remedies(scenario: Scenario) -> Iterator[Remedy]:
    """Everything worth trying on this scenario."""
    current = {name: value for name, value, *_ in registry.describe(scenario.guest)} | dict(scenario.settings)
    for name, value in SETTINGS:
        if current.get(name) != value:
            yield Remedy(f"{name}={value}", "setting", scenario.with_setting(name, value))
    asked = [act for act in scenario.acts if act.name in SOFT]
    if not asked:
        return
    first, last = asked[0], asked[-1]
    before = max(0.0, first.at_s - 10)
    yield Remedy("wait longer", "patience", scenario._replace(until_s=scenario.until_s + WAIT_S))
    yield _with(scenario, "log somebody on first", Act(before, "log_on"))
    yield _with(scenario, "wake it first", Act(before, "press_key"))
    edited = dict.fromkeys(act.argument for act in scenario.acts if act.name == "edit_document")
    if edited:
        saving = tuple(Act(before, "save_document", name) for name in edited)
        yield Remedy("save the documents first", "act", scenario._replace(acts=(*scenario.acts, *saving)))
    yield _with(scenario, "press the power button again", Act(last.at_s + 1, "power_button"))
    yield _with(scenario, "answer the prompt at the console", Act(last.at_s + 30, "answer_prompt"))
    with_agent = scenario.with_setting("QEMU-GA", "running")
    acts = tuple(Act(act.at_s, "agent_shutdown") if act in asked else act for act in scenario.acts)
    yield Remedy("shut down by the guest agent", "act", with_agent._replace(acts=acts))


def _with(scenario: Scenario, name: str, act: Act) -> Remedy:
    until_s = max(scenario.until_s, act.at_s + 60)
    return Remedy(name, "act", scenario._replace(acts=(*scenario.acts, act), until_s=until_s))


def without_force(scenario: Scenario) -> Scenario:
    """The same scenario in which nobody pulls the plug."""
    return scenario._replace(acts=tuple(act for act in scenario.acts if act.name not in FORCES))


def what_if(scenario: Scenario, profile: Profile, disk: bytes | None) -> list[dict[str, Any]]:
    """Which remedies would have let it complete: `remedy`, `kind`, `off_at_s`, and the documents `lost` by that.

    disk: what the scenario booted from.
    """
    found = []
    for remedy in remedies(without_force(scenario)):
        judged = _completed(remedy.scenario, profile, disk)
        if judged is not None:
            about = {"remedy": remedy.name, "kind": remedy.kind, "off_at_s": judged["off_at_s"]}
            found.append({**about, "lost": judged["lost"]["documents"]})
    return sorted(found, key=lambda each: (bool(each["lost"]), each["off_at_s"], each["remedy"]))


def patience(scenario: Scenario, profile: Profile, disk: bytes | None, forced_at_s: float) -> dict[str, Any]:
    """For a forced end: whether waiting would have been enough, and how much longer."""
    longer = without_force(scenario)
    until_s = max(scenario.until_s, forced_at_s) + WAIT_S
    judged = _completed(longer._replace(until_s=until_s), profile, disk)
    needed_s = None if judged is None else round(judged["off_at_s"] - forced_at_s, 3)
    return {"would_complete": judged is not None, "longer_s": needed_s}


def _completed(scenario: Scenario, profile: Profile, disk: bytes | None) -> dict[str, Any] | None:
    """The verdict of a trial in which the shutdown completes, else None."""
    judged = play(scenario, profile, MemoryStore(disk)).verdict()
    if judged["outcome"] != "completed" or judged["off_at_s"] is None:
        return None
    return {**judged, "off_at_s": round(judged["off_at_s"], 3)}
