"""Runs the suite on one target: several cases at a time, each on a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qmpemu.edge.conform.case import ANY_MACHINE, Case, Step
from qmpemu.edge.conform.judge import DIFFERS, NOT_ASKED, Result, judge
from qmpemu.edge.conform.player import Player
from qmpemu.edge.conform.target import PATIENCE_S, Process, Running, Silence, TargetError, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qmpemu.edge.conform.ledger import Ledger
    from qmpemu.edge.conform.player import Heard
    from qmpemu.edge.conform.recording import Recording


class Identity(NamedTuple):
    """Who a target says it is, in its greeting. Not a QEMU's greeting: both empty."""

    version: str
    package: str


def data_folder() -> Path:
    """Where cases, recordings and the ledger are: in the wheel, or in the source tree around it."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "conformance"
    return inside if inside.is_dir() else package.parent / "conformance"


class Target:
    """A target by what the user gave: a binary's path, or the path of a socket."""

    def __init__(self, binary: str | None, socket: str | None) -> None:
        self._binary = binary and os.path.abspath(shutil.which(binary) or binary)  # cases run elsewhere
        self._socket = socket

    @property
    def name(self) -> str:
        """For titles."""
        return self._binary or self._socket or ""

    @property
    def parallel(self) -> bool:
        """Whether cases may run side by side: a server that runs already has one monitor for all."""
        return self._binary is not None

    def plays(self, case: Case) -> bool:
        """Whether the case can be run here."""
        return self._binary is not None or not case.needs_process

    def open(self, case: Case) -> Process | Running:
        """The target, ready for a case. Raises TargetError."""
        if self._binary is not None:
            return Process(self._binary, case)
        assert self._socket is not None
        return Running(self._socket)

    def identify(self) -> Identity:
        """Read the greeting. Raises TargetError."""
        try:
            with self.open(ASKED) as target:
                wire = connect(self._socket) if self._socket is not None else target.connect(1)
                try:
                    line = wire.read()
                finally:
                    wire.close()
            version = json.loads(line)["QMP"]["version"]
            qemu = version["qemu"]
            return Identity(f"{qemu['major']}.{qemu['minor']}.{qemu['micro']}", str(version["package"]))
        except Silence:
            raise TargetError(f"{self.name} does not greet: a QMP server speaks first") from None
        except (ValueError, KeyError, TypeError):
            raise TargetError(f"{self.name} does not greet as a QMP server: {line[:200]!r}") from None


ASKED = Case(
    "identity/greeting", "who it is", ANY_MACHINE, 1, False, False, False, False, (Step("a", "<-", "..."),)
)


def run(
    target: Target,
    cases: Sequence[Case],
    against: Recording | None,
    ledger: Ledger,
    *,
    jobs: int,
    patience_s: float = PATIENCE_S,
    done: Callable[[Result], object],
) -> list[Result]:
    """Run cases; `done(result)` is called as each ends. The results come in the order of the cases."""
    with ThreadPoolExecutor(max_workers=jobs if target.parallel else 1) as pool:

        def one(case: Case) -> Result:
            result = _run_case(target, case, against, ledger, patience_s)
            done(result)
            return result

        return list(pool.map(one, cases))


def _run_case(
    target: Target, case: Case, against: Recording | None, ledger: Ledger, patience_s: float
) -> Result:
    if not target.plays(case):
        return Result(case, NOT_ASKED, [])
    began = time.monotonic()
    try:
        heard = play(target, case, patience_s=patience_s)
    except TargetError as error:
        return Result(case, DIFFERS, [], time.monotonic() - began, str(error))
    recorded = against.lines(case) if against is not None else None
    return judge(case, heard, recorded, ledger)._replace(seconds=time.monotonic() - began)


def play(target: Target, case: Case, *, record: bool = False, patience_s: float = PATIENCE_S) -> list[Heard]:
    """Play one case. Raises TargetError."""
    with target.open(case) as opened:
        return Player(case, opened, record=record, patience_s=patience_s).run()


def run_recording(cases: Sequence[Case], source: Recording, ledger: Ledger) -> Iterator[Result]:
    """The claims of the cases against a recording."""
    for case in cases:
        lines = source.lines(case)
        if lines is None:
            yield Result(case, DIFFERS, [], note="it is not in the recording")
        else:
            yield judge(case, lines, None, ledger)


def default_jobs() -> int:
    """As many cases at a time as there are processors."""
    return os.cpu_count() or 1


def schema(target: Target) -> list[dict[str, Any]]:
    """What the target says of its commands, events and types. Raises TargetError."""
    with target.open(ASKED) as opened:
        wire = opened.connect(1)
        wire.read()
        wire.send(b'{"execute":"qmp_capabilities"}{"execute":"query-qmp-schema"}')
        wire.read()
        reply = json.loads(wire.read())
        wire.close()
    if "return" not in reply:
        raise TargetError(f"{target.name} does not tell its schema: {str(reply)[:200]}")
    return list(reply["return"])
