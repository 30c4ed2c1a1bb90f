"""`qmpemu try`: a scenario on the virtual clock, answered at once with its verdict and what would have helped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.markup import escape

from qmpemu.edge import shipped, timeline
from qmpemu.edge.disk_file import FileStore
from qmpemu.edge.keyval import OptionError
from qmpemu.guests.guest import MemoryStore
from qmpemu.trial import remedies, runner, scenario
from qmpemu.trial.scenario import Scenario, ScenarioError
from qmpemu.verdict import Entry, story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.guests.guest import Store
    from qmpemu.trial.runner import Trial


class Asked(NamedTuple):
    """What the command line says; empty members leave it to the scenario file."""

    file: Path | None
    guest: str
    settings: list[str]
    at: list[str]
    until: str
    seed: str
    boot: bool
    disk: Path | None
    facts: Path | None
    event_log: Path | None
    as_json: bool
    no_remedies: bool


def run(asked: Asked) -> int:
    """Play, judge and print; 1 after a sentence about what cannot be played. Raises ScenarioError, OptionError."""
    made = _scenario(asked)
    profile = shipped.profile(None)
    store: Store = MemoryStore()
    if asked.disk is not None:
        store = FileStore(str(asked.disk), lambda text: print(text))
    before = store.load()
    trial = runner.play(made, profile, store)
    found = trial.verdict()
    found["notes"] = [note._asdict() for note in trial.notes]
    found["remedies"] = []
    if not asked.no_remedies and found["outcome"] not in ("completed", "running"):
        found["remedies"] = remedies.what_if(made, profile, before)
    if found["outcome"] == "forced" and found["requests"]:
        forced_at_s = found["requests"][-1]["at_s"]
        found["waiting"] = remedies.patience(made, profile, before, forced_at_s)
    if asked.facts is not None:
        _write_rows(asked.facts, map(_row, trial.entries))
    if asked.event_log is not None:
        logged = (entry for entry in trial.entries if entry.name == "EventLogged")
        _write_rows(asked.event_log, ({"at_s": entry.at_s, **entry.data} for entry in logged))
    if asked.as_json:
        print(json.dumps(found, indent=2))
    else:
        show(made, trial, found, Console(highlight=False, soft_wrap=True))
    return 0


def _scenario(asked: Asked) -> Scenario:
    """The file's scenario, changed by what the command line says. Raises ScenarioError."""
    made = Scenario()
    if asked.file is not None:
        try:
            made = scenario.from_toml(asked.file.read_text(encoding="utf-8"), str(asked.file))
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(
                f"{asked.file} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from None
    if asked.guest:
        made = made._replace(guest=asked.guest)
    for each in asked.settings:
        name, equals, value = each.partition("=")
        if not equals:
            raise ScenarioError(f"--set {each}: write NAME=VALUE")
        made = made.with_setting(name, value)
    acts = [_act(each) for each in asked.at]
    made = made._replace(acts=(*made.acts, *acts), boot=made.boot or asked.boot)
    if asked.until:
        made = made._replace(until_s=scenario.seconds(asked.until, "--until"))
    if asked.seed:
        made = made._replace(seed=asked.seed)
    return made.checked()


def _act(words: str) -> scenario.Act:
    time, _, what = words.strip().partition(" ")
    if not what:
        raise ScenarioError(f"--at {words}: write a time and an act, as in --at 90s power_button")
    return scenario.act(time, what.strip(), f"--at {words}")


def _row(entry: Entry) -> dict[str, Any]:
    """A fact as QMPEMU_LOG writes it."""
    about = {"seq": entry.seq, "at_s": entry.at_s, "because": entry.because, "event": entry.name}
    return {**about, **entry.data}


def _write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """JSON lines, one object each."""
    try:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {error.strerror}") from None


def show(made: Scenario, trial: Trial, found: dict[str, Any], console: Console) -> None:
    """A page for people."""
    changed = " ".join(f"{name}={value}" for name, value in made.settings)
    console.print(f"{made.guest} {changed}".strip(), style="dim")
    console.print(_headline(found), style="bold")
    for what, names in found["lost"].items():
        if names:
            console.print(f"lost {what}: {escape(', '.join(names))}", style="red")
    for request in found["requests"]:
        why = " ".join(str(request[name]) for name in ("cause", "setting", "decisive") if request[name])
        console.print(
            f"  {request['at_s']:10.3f} s  {request['door']:<24} {request['outcome']:<12} {escape(why)}"
        )
    for note in trial.notes:
        console.print(f"  {note.at_s:10.3f} s  {note.act}: {escape(note.text)}", style="yellow")
    console.print(f"event log: {' '.join(map(str, found['events'])) or 'nothing'}")
    if "waiting" in found:
        console.print(_waiting(found["waiting"]))
    for remedy in found["remedies"]:
        cost = f", losing {', '.join(remedy['lost'])}" if remedy["lost"] else ""
        text = f"would have helped: {remedy['remedy']} (off at {remedy['off_at_s']} s{cost})"
        console.print(escape(text), style="green")
    decisive = [entry for entry in trial.entries if entry.name in timeline.DECISIVE]
    if decisive:
        console.print("the chain of causes:")
        for line in timeline.rows(story(trial.entries, decisive[-1])):
            console.print(line)


def _headline(found: dict[str, Any]) -> str:
    words = [str(found["outcome"])]
    words += [f"cause {found['cause']}"] if found["cause"] else []
    words += [f"decisive: {found['decisive']}"] if found["decisive"] else []
    words += [f"setting {found['setting']}"] if found["setting"] else []
    words += [f"off at {found['off_at_s']} s"] if found["off_at_s"] is not None else []
    return ", ".join(words)


def _waiting(waiting: dict[str, Any]) -> str:
    if not waiting["would_complete"]:
        return "waiting longer would not have helped"
    return f"waiting {waiting['longer_s']} s longer would have been enough"
