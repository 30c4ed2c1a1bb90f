"""The suite on its three targets: ours and the real QEMU against the recording, the recording against the claims."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from qmpemu.edge.cli import app
from qmpemu.edge.conform import recording, suite
from qmpemu.edge.conform.case import load
from qmpemu.edge.conform.judge import AGREES, DIFFERS, NOT_ASKED, TOLERATED
from qmpemu.edge.conform.ledger import Ledger
from qmpemu.edge.conform.report import Report, write_html, write_junit

FOLDER = suite.data_folder()
CASES = load(FOLDER / "cases")
REAL = "/usr/bin/qemu-system-x86_64"
VERSION = "7.2.22"
SESSIONS = 300


@pytest.fixture
def ours(tmp_path: Path) -> str:
    """Our emulator under QEMU's name."""
    script = shutil.which("qmpemu-system-x86_64", path=str(Path(sys.executable).parent))
    assert script is not None, (
        "qmpemu-system-x86_64 is not installed beside this Python; `make test` does that"
    )
    link = tmp_path / "qemu-system-x86_64"
    link.symlink_to(script)
    return str(link)


def ledger() -> Ledger:
    """The shipped ledger."""
    return Ledger.read(FOLDER / "ledger.toml", VERSION, datetime.datetime.now(datetime.UTC).date())


def conform(*words: str) -> tuple[int, str]:
    """`qmpemu conform WORDS`: exit status and output."""
    result = CliRunner().invoke(app, ["conform", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_ours_agrees(ours: str) -> None:
    """Every case on ours gives the recorded bytes, and the ledger is sound and wholly used."""
    status, output = conform("--binary", ours, "--jobs", "2")
    assert status == 0, output


def test_the_real_one_agrees() -> None:
    """Every case on the real QEMU gives the recorded bytes."""
    assert Path(REAL).exists(), f"{REAL} is missing; `make test` installs it"
    status, output = conform("--binary", REAL, "--jobs", "2")
    assert status == 0, output


def test_the_recording_agrees() -> None:
    """The recording holds what the cases claim, and every case is in it."""
    source = next(recording.shipped(FOLDER / "recordings"))
    results = list(suite.run_recording(CASES, source, ledger()))
    assert [(each.case.name, each.note, each.differences) for each in results if each.outcome != AGREES] == []


def test_nothing_else_is_recorded() -> None:
    """No recording is left of a case that is gone."""
    source = next(recording.shipped(FOLDER / "recordings"))
    kept = {str(path.relative_to(source.folder).with_suffix("")) for path in source.folder.rglob("*.txt")}
    assert kept == {case.name for case in CASES}


def test_every_tolerated_difference_has_its_evidence(ours: str) -> None:
    """Each entry of the ledger names a case that shows the difference."""
    source = next(recording.shipped(FOLDER / "recordings"))
    for entry in ledger().entries:
        cases = [case for case in CASES if case.name == entry.evidence]
        results = suite.run(
            suite.Target(ours, None), cases, source, ledger(), jobs=1, done=lambda result: None
        )
        assert [result.outcome for result in results] == [TOLERATED], entry.evidence


def generated(ours: str, real: str, folder: Path, count: int) -> subprocess.CompletedProcess[str]:
    """Generated sessions on two binaries.

    In a process of its own: what Hypothesis draws from a seed depends on the modules that are loaded.
    """
    (folder / "cases" / "x").mkdir(parents=True)
    (folder / "cases" / "x" / "y.qmp").write_text("# A case, so that there is one.\n")
    shutil.copy(FOLDER / "ledger.toml", folder)
    words = ["--binary", ours, "--beside", real, "--folder", str(folder), "--sessions", str(count)]
    command = [str(Path(sys.executable).parent / "qmpemu"), "conform", *words, "--seed", "20261123"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(500)
def test_generated_sessions(ours: str, tmp_path: Path) -> None:
    """300 generated sessions on the real QEMU and on ours differ in nothing."""
    done = generated(ours, REAL, tmp_path / "conformance", SESSIONS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sessions_in_which_the_real_one_crashes(ours: str, tmp_path: Path) -> None:
    """Nothing can be compared with them: they are counted, and the others go on."""
    real = tmp_path / "real"
    aborts = "*mon2*) echo \"Assertion 'true' failed.\" >&2; ulimit -c 0; kill -ABRT $$;;"
    real.write_text(f'#!/bin/bash\ncase "$*" in {aborts} *) exec {REAL} "$@";; esac\n')
    real.chmod(0o755)
    done = generated(ours, str(real), tmp_path / "conformance", 3)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stdout + done.stderr
    assert re.search(r"(\d+) sessions, .*, \1 sessions cut short by a crash of the real one", done.stdout)


def test_a_difference_that_is_seen_once(ours: str, tmp_path: Path) -> None:
    """It is told, and fails nothing where the same session shows none; what is seen each time fails."""
    real, other = tmp_path / "real", f'exec {REAL} "$@" -name other'
    for when, status in ((f"[ -e {tmp_path}/seen ] || {{ touch {tmp_path}/seen; {other}; }}", 0), (other, 1)):
        real.write_text(f'#!/bin/bash\ncase "$*" in *mon2*) {when};; esac\nexec {REAL} "$@"\n')
        real.chmod(0o755)
        done = generated(ours, str(real), tmp_path / f"conformance{status}", 3)
        assert done.returncode == status, done.stdout + done.stderr
        assert ("1 differed once and not again" in done.stdout) == (status == 0)
        assert '"name": "other"' in done.stdout


def test_a_server_that_runs(tmp_path: Path, ours: str) -> None:
    """--connect judges a server that somebody else started, by the cases that need no process of their own."""
    path = tmp_path / "qmp"
    words = [ours, "-machine", "none", "-S", "-display", "none", "-qmp", f"unix:{path},server=on,wait=off"]
    with subprocess.Popen(words) as process:
        while not path.exists():
            assert process.poll() is None
        status, output = conform("--connect", str(path), "--junit", str(tmp_path / "report.xml"))
        process.terminate()
    assert status == 0, output
    suites = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert sum(int(each.get("skipped", "0")) for each in suites) == sum(case.needs_process for case in CASES)
    assert any(not case.needs_process for case in CASES)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give one of --binary, --connect and --recorded"),
        (["--binary", "x", "--connect", "y"], "give one of --binary, --connect and --recorded"),
        (["--binary", "/nonexistent"], "/nonexistent cannot be run: No such file or directory"),
        (["--connect", "/nonexistent"], "no monitor listens on /nonexistent: No such file or directory"),
        (["--recorded", "nope"], "holds no recording"),
        (["--binary", REAL, "--case", "nope/*"], "no case is named nope/*: the areas are"),
        (["--recorded", "x", "--beside", REAL], "give --binary beside --beside"),
        (["--recorded", "x", "--record", "y"], "give --binary"),
    ],
)
def test_one_sentence_for_what_cannot_be(words: list[str], sentence: str) -> None:
    """A request that cannot be met gets one sentence and exit status 1."""
    result = CliRunner().invoke(app, ["conform", *words])
    assert result.exit_code == 1
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_a_server_that_does_not_greet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says something else is named as what it is."""
    from qmpemu.edge.conform import target

    monkeypatch.setattr(target, "PATIENCE_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute"))
        listener.listen()
        status, output = conform("--connect", str(tmp_path / "mute"))
    assert status == 1
    assert "does not greet" in output


def test_only_a_real_qemu_is_recorded(ours: str) -> None:
    """Recordings are made of an ELF binary that calls itself QEMU, and of nothing else."""
    status, output = conform("--binary", ours, "--record", "never")
    assert status == 1
    assert "is no real QEMU" in output
    assert not (FOLDER / "recordings" / "never").exists()


def test_recording_again_gives_the_recording(tmp_path: Path) -> None:
    """What the real QEMU says to a case is what is recorded, and a case without claims gets them."""
    folder = tmp_path / "conformance"
    shutil.copytree(FOLDER / "cases" / "run-state", folder / "cases" / "run-state")
    shutil.copytree(FOLDER / "cases" / "order", folder / "cases" / "order")
    bare = folder / "cases" / "order" / "event-then-reply.qmp"
    bare.write_text(
        "".join(f"{line}\n" for line in bare.read_text().splitlines() if not line.startswith("<"))
    )
    shutil.copy(FOLDER / "ledger.toml", folder)
    status, output = conform("--binary", REAL, "--folder", str(folder), "--record", "again")
    assert status == 0, output
    source = next(recording.shipped(FOLDER / "recordings"))
    for path in (folder / "recordings" / "again").rglob("*.txt"):
        name = path.relative_to(folder / "recordings" / "again")
        assert path.read_text() == (source.folder / name).read_text()
    assert bare.read_text() == (FOLDER / "cases" / "order" / "event-then-reply.qmp").read_text()
    about = json.loads((folder / "recordings" / "again" / "recording.json").read_text())
    assert about["version"] == VERSION
    assert len(about["binary_sha256"]) == 64


def test_reports(tmp_path: Path, ours: str) -> None:
    """JUnit XML counts by area; the HTML page needs nothing else and escapes what it shows."""
    cases = [case for case in CASES if case.name in ("order/quit", "errors/separators")]
    results = suite.run(
        suite.Target(ours, None),
        cases,
        None,
        Ledger([], datetime.date(2026, 1, 1)),
        jobs=1,
        done=lambda r: None,
    )
    bad = results[0]._replace(outcome=DIFFERS, note="<b>\x01")
    report = Report(
        "a <target>", "its claims", [bad, results[1]._replace(outcome=NOT_ASKED)], ["ledger <x>"], 1.0
    )
    write_junit(report, tmp_path / "report.xml")
    write_html(report, tmp_path / "report.html")
    suites = {each.get("name"): each for each in ElementTree.parse(tmp_path / "report.xml").getroot()}
    assert suites["errors"].get("failures") == "1"
    assert suites["order"].get("skipped") == "1"
    assert suites["ledger"].get("failures") == "1"
    page = (tmp_path / "report.html").read_text()
    assert "a &lt;target&gt;" in page and "<b>\x01" not in page and "http" not in page
    assert not report.passed
