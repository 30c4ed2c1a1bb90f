"""`qmpemu conform`, from the words of the user to the report."""

from __future__ import annotations

import datetime
import os
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from qmpemu.edge.conform import recording, report, suite
from qmpemu.edge.conform.case import Case, CaseError, load
from qmpemu.edge.conform.judge import Result
from qmpemu.edge.conform.ledger import Ledger, LedgerError
from qmpemu.edge.conform.recording import Recording, RecordingError
from qmpemu.edge.conform.target import TargetError

RECORDED_AT_A_TIME = 8
"""Recording mostly waits for silence."""


class ConformError(Exception):
    """The run cannot be made; one sentence."""


class Request(NamedTuple):
    """What the user asked for. only: patterns of case names, e.g. `errors/*`; none: all cases."""

    binary: str | None
    socket: str | None
    recorded: str | None
    only: list[str]
    folder: Path
    jobs: int
    junit: Path | None
    html: Path | None
    record: str | None
    beside: str | None
    sessions: int
    seed: int


def run(request: Request) -> int:
    """Run the suite, print and write the report; the exit status. Raises ConformError."""
    try:
        cases = _chosen(load(request.folder / "cases"), request.only)
        if request.record is not None:
            return _record(request, cases)
        if request.beside is not None:
            return _side_by_side(request, request.beside)
        made = _run(request, cases)
        for path, write in ((request.junit, report.write_junit), (request.html, report.write_html)):
            if path is not None:
                write(made, path)
    except (CaseError, LedgerError, RecordingError, TargetError, OSError) as error:
        raise ConformError(str(error)) from None
    report.show(made, Console(highlight=False))
    return 0 if made.passed else 1


def _chosen(cases: list[Case], only: list[str]) -> list[Case]:
    found = [case for case in cases if not only or any(fnmatch(case.name, pattern) for pattern in only)]
    if not found:
        areas = ", ".join(sorted({case.area for case in cases}))
        raise ConformError(f"no case is named {' or '.join(only)}: the areas are {areas}; try 'order/*'")
    return found


def _run(request: Request, cases: list[Case]) -> report.Report:
    began = time.monotonic()
    recordings = request.folder / "recordings"
    if request.recorded is not None:
        source = Recording(recordings / request.recorded)
        ledger = _ledger(request, source.about.version)
        results = list(suite.run_recording(cases, source, ledger))
        return report.Report(
            f"the recording {request.recorded}", "its claims", results, [], time.monotonic() - began
        )
    target = suite.Target(request.binary, request.socket)
    who = target.identify()
    against = recording.find(recordings, *who)
    ledger = _ledger(request, who.version)
    results = _with_progress(target, cases, against, ledger, request.jobs)
    complaints = ledger.complaints(whole=not request.only and request.binary is not None and _is_ours(target))
    name = (
        f"the recording of {against.about.banner}"
        if against
        else "the cases' claims (this version is not recorded)"
    )
    return report.Report(target.name, name, results, complaints, time.monotonic() - began)


def _is_ours(target: suite.Target) -> bool:
    """Whether the target is qmpemu: only then must every tolerated difference show."""
    with open(target.name, "rb") as file:
        return not file.read(4).startswith(b"\x7fELF")


def _ledger(request: Request, version: str) -> Ledger:
    today = datetime.datetime.now(datetime.UTC).date()
    return Ledger.read(request.folder / "ledger.toml", version, today)


def _with_progress(
    target: suite.Target, cases: list[Case], against: Recording | None, ledger: Ledger, jobs: int
) -> list[Result]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("cases", total=len(cases))

        def done(result: Result) -> None:
            progress.update(bar, advance=1, description=result.case.area)

        return suite.run(target, cases, against, ledger, jobs=jobs, done=done)


def _record(request: Request, cases: list[Case]) -> int:
    if request.binary is None or request.record is None:
        raise ConformError("recordings are made of a real binary: give --binary")
    target = suite.Target(request.binary, None)
    about = recording.provenance(request.binary, *target.identify())
    recorder = recording.Recorder(
        request.folder / "recordings" / request.record,
        request.folder / "cases",
        lambda case: suite.play(target, case, record=True),
    )
    with ThreadPoolExecutor(max_workers=RECORDED_AT_A_TIME) as pool:
        refused = [each for each in pool.map(recorder.record, cases) if each is not None]
    recorder.finish(about)
    for each in refused:
        print(each)
    print(f"recorded {len(cases) - len(refused)} of {len(cases)} cases of {about.banner}")
    return 1 if refused else 0


def _side_by_side(request: Request, beside: str) -> int:
    """Generated sessions on `beside`, the reference, and on the binary."""
    from qmpemu.edge import coverage, shipped
    from qmpemu.edge.conform import sessions

    if request.binary is None:
        raise ConformError("sessions are generated for two binaries: give --binary beside --beside")
    if find_spec("hypothesis") is None:
        raise ConformError("generated sessions need the package hypothesis: pip install 'qmpemu[conform]'")
    who = suite.Target(beside, None).identify()
    schema = suite.schema(suite.Target(beside, None))
    rows = coverage.rows(shipped.profile(None))
    refused = frozenset(row.command for row in rows if row.kind == coverage.NOT_EMULATED)
    plan = sessions.Plan(
        schema,
        refused,
        os.path.abspath(beside),
        os.path.abspath(request.binary),
        _ledger(request, who.version),
    )
    tally = sessions.Tally()
    began = time.monotonic()
    with Progress(
        TextColumn("sessions"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True)
    ) as progress:
        bar = progress.add_task("sessions", total=request.sessions)
        found = sessions.run(
            plan,
            sessions=request.sessions,
            seed=request.seed,
            tally=tally,
            done=lambda: progress.update(bar, completed=min(tally.sessions, request.sessions)),
        )
    print(f"seed {request.seed}: {tally}, in {time.monotonic() - began:.0f} s")
    for each in tally.not_again:
        print(f"seen once, not when the same session was played again:\n{each}")
    if found is None:
        return 0
    text, difference = found
    case = request.folder / "cases" / "found" / f"seed-{request.seed}.qmp"
    case.parent.mkdir(parents=True, exist_ok=True)
    case.write_text(text, encoding="utf-8")
    print(f"they differ; the shrunk session is kept as {case}:\n{difference}")
    return 1
