"""The command for people: the demo, a foreground run, lists, and mistakes in one sentence."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

QMPEMU = [sys.executable, "-m", "qmpemu.edge.cli"]


def qmpemu(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*QMPEMU, *words], capture_output=True, text=True, timeout=100, cwd=cwd, check=False
    )


def test_the_demo_tells_both_stories(tmp_path: Path) -> None:
    """One guest powers off, one ignores the button, and each is explained by its chain of causes."""
    done = qmpemu("demo", "--speed", "200x", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.split("2. the guest ignores")
    shown = [line.split()[2] for line in first.splitlines() if line.startswith("<- event")]
    assert shown == ["POWERDOWN", "SHUTDOWN"]
    assert re.search(r"SleepRequested +state=S5", first)
    assert "PowerPolicyApplied       action=do nothing  setting=PBUTTONACTION  value=0" in second
    assert '"status": "running"' in second
    assert done.stdout.endswith("obeying guest powered off: True    ignoring guest kept running: True\n")


def test_a_foreground_run_in_virtual_time_as_json_lines(tmp_path: Path) -> None:
    """`qmpemu run --json` prints each fact as a JSON line; Ctrl-C cuts the power."""
    process = subprocess.Popen(
        [*QMPEMU, "run", "--json", "--speed", "virtual"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    facts = []
    while not facts or facts[-1]["event"] != "BootCompleted":
        facts.append(json.loads(process.stdout.readline()))
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    facts += [json.loads(line) for line in rest.splitlines()]
    assert process.returncode == 0
    assert [fact["seq"] for fact in facts] == list(range(len(facts)))
    names = [fact["event"] for fact in facts]
    assert names[0] == "MachineResumed"
    assert names[-3:] == ["SignalReceived", "MachineShutDown", "PowerLost"]
    assert not (tmp_path / "qmp.sock").exists()


def test_guests_are_listed(tmp_path: Path) -> None:
    """The default is marked."""
    lines = qmpemu("guests", cwd=tmp_path).stdout.splitlines()
    assert "windows-server-2022-cloud   (default)" in lines
    assert "windows-11" in lines


def test_settings_are_listed_with_their_grade(tmp_path: Path) -> None:
    """Windows' own names, the guest's values, what is valid, and how well sourced it is."""
    shown = qmpemu("settings", "windows-10", cwd=tmp_path).stdout
    assert "PBUTTONACTION" in shown
    assert "ShutdownWithoutLogon" in shown
    done = qmpemu("settings", "windows-9", cwd=tmp_path)
    assert (done.returncode, "guest 'windows-9' does not exist" in done.stderr) == (1, True)


def test_profiles_are_listed(tmp_path: Path) -> None:
    """With the version they are of."""
    assert (
        "qemu-7.2-debian12   QEMU emulator version 7.2.22" in qmpemu("profile", "list", cwd=tmp_path).stdout
    )


def test_explain_reads_a_log(tmp_path: Path) -> None:
    """The verdict of a foreground run's log; a file that is no log is one sentence that names the line."""
    log = tmp_path / "log.jsonl"
    rows = [
        {"event": "CommandReceived", "seq": 0, "at_s": 1.0, "because": None, "command": "system_powerdown"},
        {"event": "PowerdownRequested", "seq": 1, "at_s": 1.0, "because": 0},
        {"event": "ButtonLost", "seq": 2, "at_s": 1.0, "because": 1, "pm1_en": 0},
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"event": "Half')
    shown = qmpemu("explain", str(log), cwd=tmp_path).stdout
    assert "outcome: lost" in shown
    assert "decisive: PM1_EN.PWRBTN" in shown
    assert json.loads(qmpemu("explain", str(log), "--json", cwd=tmp_path).stdout)["outcome"] == "lost"
    log.write_text("nonsense\n")
    done = qmpemu("explain", str(log), cwd=tmp_path)
    assert (done.returncode, "line 1: no line of a time line" in done.stderr) == (1, True)


def test_coverage_knows_every_command_and_its_module(tmp_path: Path) -> None:
    """One line for each of the 216 commands; none without a module; what says `not emulated` really refuses so."""
    rows = [
        line.split(maxsplit=2) for line in qmpemu("coverage", "--names", cwd=tmp_path).stdout.splitlines()
    ]
    assert len(rows) == 216
    assert {module for _, module, _ in rows} >= {"control", "run-state", "machine", "block-core"}
    assert [name for name, module, _ in rows if module == "other"] == []
    kinds = {name: kind for name, _, kind in rows}
    some = [kinds[name] for name in ("quit", "migrate", "query-machines", "xen-colo-do-checkpoint")]
    assert some == ["behaves", "behaves", "recorded", "not emulated"]
    shown = qmpemu("coverage", cwd=tmp_path).stdout
    assert "216 commands" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--guest", "windows-22"], "QMPEMU_GUEST: "),
        (["run", "--set", "PBUTONACTION=0"], "PBUTTONACTION"),
        (["run", "--set", "PBUTTONACTION=9"], "PBUTTONACTION"),
        (["run", "--speed", "fast"], "speed 'fast' is not valid: give a factor such as 60x"),
        (["run", "--machine", "foo"], "unsupported machine type"),
        (["run", "--qmp", "/nope/x"], "Failed to bind socket to /nope/x: No such file or directory"),
        (["profile", "record", "--binary", "/nope"], "there is no executable /nope"),
        (["demo", "--guest", "nope"], "guest 'nope' does not exist: valid are windows-10"),
    ],
)
def test_mistakes_are_one_sentence(words: list[str], sentence: str, tmp_path: Path) -> None:
    """What is wrong, where, and what would be right; status 1; no traceback."""
    done = qmpemu(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
