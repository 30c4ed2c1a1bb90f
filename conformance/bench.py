"""`make bench`: ours and the real QEMU side by side, measured by one raw-socket client.

Each run measures both binaries, one straight after the other, so that a neighbour's load hits both; figures are
medians with the least and the greatest. The client writes bytes and counts lines: it parses nothing while it measures.

    start        exec to the reply of the first command (qmp_capabilities), `-machine none` and q35
    memory       VmRSS once started
    sequential   query-status, the next one sent when the reply is here
    pipelined    1000 query-status with different ids in one write, until the last reply
    schema       query-qmp-schema, sent to last byte: the first in a process, and the median of five more
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

MACHINES = {
    "none": ["-machine", "none", "-accel", "tcg"],
    "q35": ["-machine", "q35", "-m", "2G", "-accel", "tcg"],
}
SEQUENTIAL = 1000
PIPELINED = 1000
SCHEMA_AGAIN = 5
START_S = 20.0


class Measure(NamedTuple):
    """One line of the table. Ratios are ours to real; `at_most` says on which side of the target is good."""

    name: str
    machine: str
    unit: str
    target: float
    at_most: bool


MEASURES = (
    Measure("exec to first answered command", "none", "ms", 2.0, True),
    Measure("exec to first answered command", "q35", "ms", 2.0, True),
    Measure("resident memory", "none", "MiB", 0.7, True),
    Measure("resident memory", "q35", "MiB", 0.7, True),
    Measure("sequential query-status", "q35", "per s", 2.0, False),
    Measure("pipelined query-status", "q35", "per s", 30.0, False),
    Measure("query-qmp-schema, first", "q35", "ms", 20.0, False),
    Measure("query-qmp-schema, again", "q35", "ms", 20.0, False),
)
"""For query-qmp-schema, a time, the ratio is real to ours: 20x means twenty times as fast."""

Figures = dict[tuple[str, str], list[float]]
"""(measure, machine) -> one figure per run."""


class Target:
    """One started emulator and the connection to it."""

    def __init__(self, binary: str, machine: str, folder: Path) -> None:
        self.binary = binary
        path = folder / "q"
        argv = [binary, "-S", "-display", "none", "-nodefaults", *MACHINES[machine]]
        argv += ["-qmp", f"unix:{path},server=on,wait=off"]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "QMPEMU_"))
        }
        self.began = time.perf_counter()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, cwd=folder, env=environment)
        self.socket = socket.socket(socket.AF_UNIX)
        self._connect(str(path))
        self.reader = self.socket.makefile("rb", buffering=1 << 20)
        self.reader.readline()
        self.ask(b'{"execute":"qmp_capabilities"}\n')
        self.started_ms = (time.perf_counter() - self.began) * 1e3

    def _connect(self, path: str) -> None:
        while True:
            try:
                self.socket.connect(path)
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None:
                    status = self.process.returncode
                    raise SystemExit(f"bench: {self.binary} ended with status {status}") from None
                if time.perf_counter() - self.began > START_S:
                    raise SystemExit(f"bench: no socket within {START_S:g} s") from None
                select.select([], [], [], 0.0002)

    def ask(self, request: bytes) -> bytes:
        """Send one command, return the line that answers it."""
        self.socket.sendall(request)
        return self.reader.readline()

    def resident_mib(self) -> float:
        """VmRSS of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("bench: the process has ended")

    def close(self) -> None:
        """End the emulator and wait for it."""
        self.reader.close()
        self.socket.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def sequential_per_s(target: Target) -> float:
    """Commands a second, each sent when the reply to the one before has come."""
    request = b'{"execute":"query-status","id":"x"}\n'
    began = time.perf_counter()
    for _ in range(SEQUENTIAL):
        target.ask(request)
    return SEQUENTIAL / (time.perf_counter() - began)


def pipelined_per_s(target: Target) -> float:
    """Commands a second when all are sent in one go; every id is checked afterwards."""
    request = b"".join(
        b'{"execute":"query-status","id":"libvirt-%d"}\n' % number for number in range(PIPELINED)
    )
    began = time.perf_counter()
    target.socket.sendall(request)
    replies = [target.reader.readline() for _ in range(PIPELINED)]
    seconds = time.perf_counter() - began
    if [json.loads(reply)["id"] for reply in replies] != [f"libvirt-{number}" for number in range(PIPELINED)]:
        raise SystemExit("bench: replies out of order")
    return PIPELINED / seconds


def schema_ms(target: Target) -> float:
    """Round trip of the longest reply there is."""
    began = time.perf_counter()
    reply = target.ask(b'{"execute":"query-qmp-schema"}\n')
    elapsed = (time.perf_counter() - began) * 1e3
    if len(json.loads(reply)["return"]) < 100:
        raise SystemExit("bench: query-qmp-schema did not answer with the schema")
    return elapsed


def measure(binary: str, figures: Figures) -> None:
    """One run of one binary: both machines, all measures."""
    for machine in MACHINES:
        with tempfile.TemporaryDirectory(prefix="qb") as folder:
            target = Target(binary, machine, Path(folder))
            try:
                figures["exec to first answered command", machine].append(target.started_ms)
                figures["resident memory", machine].append(target.resident_mib())
                if machine == "q35":
                    figures["sequential query-status", machine].append(sequential_per_s(target))
                    figures["pipelined query-status", machine].append(pipelined_per_s(target))
                    figures["query-qmp-schema, first", machine].append(schema_ms(target))
                    again = [schema_ms(target) for _ in range(SCHEMA_AGAIN)]
                    figures["query-qmp-schema, again", machine].append(statistics.median(again))
            finally:
                target.close()


def ratio(measured: Measure, ours: Figures, real: Figures) -> float:
    """How ours compares: ours to real, except for the schema's time, where it is real to ours."""
    key = measured.name, measured.machine
    mine, theirs = statistics.median(ours[key]), statistics.median(real[key])
    return theirs / mine if measured.unit == "ms" and not measured.at_most else mine / theirs


def rows(ours: Figures, real: Figures) -> list[dict[str, object]]:
    """One mapping per measure: medians, ranges, ratio, target, met."""
    table: list[dict[str, object]] = []
    for item in MEASURES:
        found = ratio(item, ours, real)
        row: dict[str, object] = {"measure": item.name, "machine": item.machine, "unit": item.unit}
        for who, figures in (("ours", ours), ("real", real)):
            values = figures[item.name, item.machine]
            row[who] = {"median": statistics.median(values), "min": min(values), "max": max(values)}
        met = found <= item.target if item.at_most else found >= item.target
        row.update(ratio=found, target=f"{'<=' if item.at_most else '>='} {item.target:g}x", met=met)
        table.append(row)
    return table


def show(table: list[dict[str, object]], runs: int) -> None:
    """Print for people: a table, plain where the output is no terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    title = f"ours and the real QEMU, interleaved, {runs} runs: median (least..greatest)"
    drawn = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for name in ("measure", "machine", "unit"):
        drawn.add_column(name, no_wrap=True)
    for name in ("ours", "real QEMU", "ratio", "target", ""):
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in table:
        cells = [
            str(row["measure"]),
            str(row["machine"]),
            str(row["unit"]),
            spread(row["ours"]),
            spread(row["real"]),
        ]
        verdict = "[green]met[/]" if row["met"] else "[yellow]missed[/]"
        drawn.add_row(*cells, f"{row['ratio']:.2f}x", str(row["target"]), verdict)
    console.print(drawn)


def spread(values: object) -> str:
    """`31.2 (24.7..37.9)`; the greater the figure the fewer decimals."""
    assert isinstance(values, dict)
    digits = 0 if values["median"] >= 1000 else 1 if values["median"] >= 10 else 2
    low, high = (f"{values[name]:.{digits}f}" for name in ("min", "max"))
    return f"{values['median']:.{digits}f} ({low}..{high})"


def arguments() -> argparse.Namespace:
    """The command line; an emulator that is missing ends the program with one sentence."""
    parser = argparse.ArgumentParser(prog="bench", description="ours beside the real QEMU")
    parser.add_argument("--runs", type=int, default=7, help="how often each binary is measured (default 7)")
    parser.add_argument("--ours", default=str(Path(sys.executable).with_name("qmpemu-system-x86_64")))
    parser.add_argument(
        "--real", default="qemu-system-x86_64", help="the real QEMU (default: the one in PATH)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    if given.runs < 1:
        parser.error("--runs: at least 1")
    real = shutil.which(given.real)
    if real is None:
        raise SystemExit(
            f"bench: no {given.real}: install the Debian package qemu-system-x86, or name one by --real"
        )
    if shutil.which(given.ours) is None:
        raise SystemExit(
            f"bench: no {given.ours}: install the project into this environment, or name it by --ours"
        )
    given.real = real
    return given


def main() -> int:
    """Measure and print; the status is 0 whether or not the targets are met."""
    given = arguments()
    ours: Figures = defaultdict(list)
    real: Figures = defaultdict(list)
    measure(given.ours, defaultdict(list))  # once unmeasured: the files come into the page cache
    measure(given.real, defaultdict(list))
    for number in range(given.runs):
        for binary, figures in ((given.ours, ours), (given.real, real))[:: 1 if number % 2 else -1]:
            measure(binary, figures)
    table = rows(ours, real)
    if given.json:
        print(
            json.dumps({"runs": given.runs, "ours": given.ours, "real": given.real, "rows": table}, indent=2)
        )
    else:
        show(table, given.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
