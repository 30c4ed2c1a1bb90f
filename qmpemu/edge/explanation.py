"""`qmpemu explain`: reads a time line that QMPEMU_LOG wrote, and prints its verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from qmpemu.edge import shipped, timeline
from qmpemu.trial import remedies
from qmpemu.trial.replay import scenario_of
from qmpemu.verdict import Entry, story, verdict

if TYPE_CHECKING:
    from pathlib import Path

LOG_BYTES_MAX = 256 << 20


class LogError(Exception):
    """A file that is no time line; one sentence."""


def read(path: Path) -> list[Entry]:
    """The entries of a log; a last line that was cut short by a kill is left out. Raises LogError."""
    try:
        if path.stat().st_size > LOG_BYTES_MAX:
            raise LogError(f"{path} has more than {LOG_BYTES_MAX >> 20} MiB")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(Entry.of_log(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            if number == len(lines) and not line.endswith("\n"):
                break
            raise LogError(f"{path}, line {number}: no line of a time line as QMPEMU_LOG writes it") from None
    return entries


def _remedies(entries: list[Entry], found: dict[str, Any]) -> list[dict[str, Any]]:
    """The run again on the virtual clock, with one thing changed at a time."""
    scenario = scenario_of(entries)
    if scenario is None or found["outcome"] in ("completed", "running"):
        return []
    return remedies.what_if(scenario, shipped.profile(None), None)


def show(entries: list[Entry], *, as_json: bool) -> None:
    """Print the verdict, and what would have helped."""
    found = verdict(entries)
    found["remedies"] = _remedies(entries, found)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"outcome: {found['outcome']}", style="bold")
    for name in ("cause", "decisive", "setting", "off_at_s"):
        if found[name] is not None:
            console.print(f"{name}: {found[name]}")
    for what, names in found["lost"].items():
        if names:
            console.print(f"lost {what}: {', '.join(names)}")
    console.print("requests:")
    for request in found["requests"]:
        why = " ".join(str(request[name]) for name in ("cause", "setting", "decisive") if request[name])
        console.print(f"  {request['at_s']:10.3f} s  {request['door']:<24} {request['outcome']:<12} {why}")
    for remedy in found["remedies"]:
        cost = f", losing {', '.join(remedy['lost'])}" if remedy["lost"] else ""
        text = f"would have helped: {remedy['remedy']} (off {remedy['off_at_s']} s after the start{cost})"
        console.print(escape(text), style="green")
    decisive = [entry for entry in entries if entry.name in timeline.DECISIVE]
    if decisive:
        console.print("the chain of causes:")
        for line in timeline.rows(story(entries, decisive[-1])):
            console.print(line)
