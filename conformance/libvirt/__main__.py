"""`python -m conformance.libvirt [FILE...]`: the scenarios on the real QEMU and on ours, through a libvirt each.

Every row that the real QEMU does too is played on both, and what libvirt and the emulator said to each other has to be
the same. Exit status 1 when a row does not hold, on either side, or when the logs differ beyond the ledger
(`tests/libvirt/scenarios/ledger.toml`, in the idiom of the suite's). With `--times` nothing is judged: the sides take
turns, and how long each virsh line took is printed, ours beside the real one's, slowest ratio first.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from conformance.libvirt.compare import Difference, Run, both, differences, where
from conformance.libvirt.stage import SCENARIOS
from conformance.libvirt.table import Table, read, read_all
from qmpemu.edge.conform.ledger import Ledger
from tests.libvirt.libvirtd import Libvirtd

OURS = Path(sys.executable).with_name("qmpemu-system-x86_64")
VERSION = "7.2.22"
SHOWN_MAX = 40
SHORT_S = 0.02
"""Below this a ratio is the noise of starting virsh."""

Times = dict[str, tuple[list[float], list[float]]]
"""`TABLE, OPERATION: LINE` -> seconds of the real one, seconds of ours, one figure per round."""


def main() -> int:
    """Play, compare, print; the exit status."""
    options = _options()
    tables = [read(file) for file in options.tables] or read_all(SCENARIOS)
    today = datetime.datetime.now(datetime.UTC).date()
    ledger = Ledger.read(SCENARIOS / "ledger.toml", VERSION, today)
    console = Console(width=None if sys.stdout.isatty() else 200, emoji=False)
    bad, times = 0, Times()
    with (
        Libvirtd({"qemu-system-x86_64": options.real}) as real,
        Libvirtd({"qemu-system-x86_64": options.ours}, kvm="ensure") as ours,
    ):
        for daemon in (real, ours):
            daemon.watch_events()
        name = "bin/qemu-system-x86_64"
        binaries = str(real.root / name), str(ours.root / name)
        for table in (each for each in tables if any(row.real for row in each.rows)):
            for _ in range(options.rounds):
                runs = both(real, ours, table, binaries, at_once=not options.times)
                _note_times(times, table, runs)
                if not options.times:
                    bad += _judge(console, table, runs, ledger)
    if options.times:
        console.print(_times_grid(times))
        return 0
    for complaint in ledger.complaints(whole=not options.tables):
        console.print(complaint, markup=False)
        bad += 1
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance.libvirt", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tables", nargs="*", type=Path, help="only these files")
    parser.add_argument("--real", default="/usr/bin/qemu-system-x86_64", help="the real QEMU")
    parser.add_argument("--ours", default=str(OURS), help="our emulator")
    parser.add_argument("--rounds", type=int, default=1, help="how often")
    parser.add_argument(
        "--times", action="store_true", help="print how long each virsh line took, judge nothing"
    )
    return parser.parse_args()


def _judge(console: Console, table: Table, runs: tuple[Run, Run], ledger: Ledger) -> int:
    """Print what is wrong with one table; how much that is."""
    real, ours = runs
    found = differences(real.said, ours.said, ledger)
    for side, run in (("real", real), ("ours", ours)):
        for failure in run.failed:
            console.print(f"FAILED on {side}: {failure}", markup=False, soft_wrap=True)
    for row, pair in _distinct(found)[:SHOWN_MAX]:
        one, other = where(*pair)
        console.print(f"{table.name}, {row}:", markup=False)
        console.print(f"  real  {one}\n  ours  {other}", markup=False, soft_wrap=True, highlight=False)
    wrong = len(found) + len(real.failed) + len(ours.failed)
    outcome = f"{len(found)} differences" if found else "agree"
    console.print(
        f"{table.name}: {sum(row.real for row in table.rows)} operations, {len(real.said)} lines, {outcome}",
        markup=False,
    )
    return wrong


def _distinct(found: list[Difference]) -> list[tuple[str, tuple[str, str]]]:
    """Each pair of lines once, with the rows where it was seen."""
    rows: dict[tuple[str, str], list[str]] = {}
    for each in found:
        rows.setdefault((each.real, each.ours), []).append(each.row)
    return [(", ".join(dict.fromkeys(names)), pair) for pair, names in rows.items()]


def _note_times(times: Times, table: Table, runs: tuple[Run, Run]) -> None:
    kept = defaultdict[str, tuple[list[float], list[float]]](lambda: ([], []), times)
    for side, run in enumerate(runs):
        for line, seconds in run.seconds.items():
            kept[f"{table.name}, {line}"][side].append(seconds)
    times.update(kept)


def _times_grid(times: Times) -> Grid:
    """Medians, slowest ratio first."""
    grid = Grid("operation", "real s", "ours s", "ours / real")
    medians = [
        (line, statistics.median(real), statistics.median(ours))
        for line, (real, ours) in times.items()
        if real and ours
    ]
    for line, real, ours in sorted(medians, key=lambda each: -each[2] / each[1]):
        ratio = f"{ours / real:.2f}" if abs(ours - real) > SHORT_S else "equal"
        grid.add_row(escape(line), f"{real:.3f}", f"{ours:.3f}", ratio)
    return grid


if __name__ == "__main__":
    sys.exit(main())
