"""Scenarios: what can be written, and the one sentence for what cannot; `qmpemu try` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qmpemu.edge.cli import app, paired
from qmpemu.trial.scenario import ScenarioError, act, from_toml, seconds

FILE = """
guest = "windows-11"
seed = "7"
until = "10m"

[settings]
AutoEndTasks = 0
VIDEOIDLE = 0

[[at]]
time = "30s"
do = "edit_document"
with = "Plan.docx"

[[at]]
time = 90
do = "power_button"

[[participants]]
kind = "service"
name = "AcmeBackup"
preshutdown = true
delays_ms = { preshutdown = 2000 }
"""


def run(*words: str) -> tuple[int, str]:
    """`qmpemu try WORDS`: exit status and output."""
    result = CliRunner().invoke(app, paired(["try", *words]))
    return result.exit_code, result.output


def test_a_file_says_it_all(tmp_path: Path) -> None:
    """Guest, settings, acts and participants from a file; options change it."""
    path = tmp_path / "plan.toml"
    path.write_text(FILE)
    status, output = run(str(path), "--json")
    found = json.loads(output)
    assert status == 0
    assert (found["outcome"], found["cause"], found["decisive"]) == ("stalled", "C4", "WINWORD.EXE")
    status, output = run(str(path), "--json", "--set", "AutoEndTasks=1")
    found = json.loads(output)
    assert found["outcome"] == "completed"
    assert found["lost"]["documents"] == ["WINWORD.EXE: Plan.docx"]
    assert found["off_at_s"] > 92  # AcmeBackup takes two seconds


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("windows-11", "windows-12"), "guest 'windows-12' does not exist: did you mean 'windows-11'?"),
        (
            ("AutoEndTasks = 0", "AutoEndTask = 0"),
            "setting 'AutoEndTask' of guest 'windows-11' does not exist",
        ),
        (
            ("AutoEndTasks = 0", "AutoEndTasks = 7"),
            "setting AutoEndTasks of guest 'windows-11' cannot be '7'",
        ),
        (
            ('do = "power_button"', 'do = "power_buton"'),
            "act 'power_buton' does not exist: did you mean 'power_button'?",
        ),
        (("time = 90", 'time = "soon"'), "act 2: 'soon' is no time: write 90s, 2.5m or 1h"),
        (("time = 90\n", ""), "act 2: it needs time and do"),
        (("with =", "wiht ="), "act 1: 'wiht' is none of time, do, with"),
        (('with = "Plan.docx"', ""), "act 'edit_document' needs its NAME"),
        (("[settings]", "[setings]"), "'setings' is no part of a scenario: did you mean 'settings'?"),
        (('kind = "service"', 'kind = "servis"'), "participant 1"),
        (("seed = ", "seed "), "plan.toml"),
    ],
)
def test_a_mistake_in_a_file(change: tuple[str, str], sentence: str) -> None:
    """One sentence: what, where, what would be right."""
    with pytest.raises(ScenarioError) as raised:
        from_toml(FILE.replace(*change), "plan.toml")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value).strip()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--at", "90s"], "--at 90s: write a time and an act"),
        (["--at", "x", "power_button"], "--at x power_button: 'x' is no time"),
        (["--at", "90s", "dance"], "act 'dance' does not exist: valid are"),
        (["--at", "90s", "lock=now"], "act 'lock' takes no argument, and got 'now'"),
        (["--at", "90s", "agent_shutdown=restart"], "agent_shutdown=restart does not exist"),
        (["--set", "PBUTTONACTION"], "--set PBUTTONACTION: write NAME=VALUE"),
        (["--until", "-1"], "--until: '-1' is no time"),
        (["--guest", "none"], "a trial needs a guest"),
        (["/nonexistent.toml"], "/nonexistent.toml cannot be read: No such file or directory"),
    ],
)
def test_a_mistake_on_the_command_line(words: list[str], sentence: str) -> None:
    """One sentence and exit status 1."""
    status, output = run(*words)
    assert status == 1
    assert sentence in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("1.5m", 90), ("1h", 3600), ("250ms", 0.25), (7, 7), ("8", 8)]
)
def test_times(text: object, value: float) -> None:
    """A number of seconds, or with a unit."""
    assert seconds(text, "here") == value


def test_acts() -> None:
    """An argument stands behind an equals sign, and may hold another."""
    assert act("5s", "shutdown_exe=/s /t 0", "here")[1:] == ("shutdown_exe", "/s /t 0")
    assert act("5s", "open_document=a=b.txt", "here").argument == "a=b.txt"


def test_the_issue_s_own_example() -> None:
    """The line that the documentation shows."""
    words = "--guest windows-server-2022 --set ShutdownWithoutLogon=0 --at 60s log_off --at 90s power_button"
    status, output = run(*words.split(), "--until", "900s", "--json")
    found = json.loads(output)
    assert status == 0
    assert (found["outcome"], found["cause"], found["setting"]) == ("discarded", "C3", "ShutdownWithoutLogon")
    assert found["remedies"][0]["remedy"] == "ShutdownWithoutLogon=1"
    assert found["notes"][0]["act"] == "log_off"


def test_the_disk_of_one_trial_is_the_next_one_s(tmp_path: Path) -> None:
    """--disk keeps what a forced end left, and the next trial boots from it."""
    disk = str(tmp_path / "disk")
    words = ["--guest", "windows-10", "--disk", disk, "--json"]
    _, output = run(*words, "--at", "10s", "edit_document=Plan.docx", "--at", "20s", "sigkill")
    first = json.loads(output)
    assert first["outcome"] == "forced"
    assert first["lost"]["documents"] == ["WINWORD.EXE: Plan.docx"]
    assert first["lost"]["volumes"] == ["C:"]
    _, output = run(*words, "--at", "20s", "power_button")
    assert json.loads(output)["events"] == [41, 6008, 6005, 1001, 1074, 6006, 109, 13]
    _, output = run(*words)
    assert json.loads(output)["events"] == [6005]


def test_from_power_on() -> None:
    """--boot begins at power-on: a press during the firmware is lost."""
    _, output = run("--boot", "--at", "1s", "power_button", "--json")
    assert json.loads(output)["outcome"] == "lost"


def test_a_page_for_people(tmp_path: Path) -> None:
    """Without --json: the outcome, why, what would have helped, and the chain of causes; facts go to a file."""
    facts = tmp_path / "facts.jsonl"
    status, output = run("--set", "PBUTTONACTION=0", "--at", "5s", "power_button", "--facts", str(facts))
    assert status == 0
    assert "ignored, cause C5" in output
    assert "would have helped: PBUTTONACTION=3" not in output  # a stock server discards it then, too
    assert "the chain of causes:" in output
    assert json.loads(facts.read_text().splitlines()[0])["seq"] == 0


@pytest.mark.parametrize("command", ["acts", "faults"])
def test_lists(command: str) -> None:
    """What can be done, and what can go wrong, each with its meaning."""
    result = CliRunner().invoke(app, [command])
    assert result.exit_code == 0
    assert ("power_button" if command == "acts" else "respawn_veto") in result.output


def test_the_event_log_is_exported(tmp_path: Path) -> None:
    """--event-log writes Windows' records in order, with id, source and text."""
    path = tmp_path / "events.jsonl"
    status, _ = run("--guest", "windows-10", "--at", "5s", "power_button", "--event-log", str(path))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert status == 0
    assert [(row["id"], row["source"]) for row in rows] == [
        (6005, "EventLog"),
        (1074, "User32"),
        (6006, "EventLog"),
        (109, "Kernel-Power"),
        (13, "Kernel-General"),
    ]


def test_the_table_of_faults_is_current() -> None:
    """docs/faults.md shows what the registry says."""
    result = CliRunner().invoke(app, ["faults", "--markdown"])
    page = Path(__file__).parents[2] / "docs" / "faults.md"
    assert page.read_text().endswith(result.output)
