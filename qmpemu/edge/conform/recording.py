"""Recordings of a real QEMU: what it said to each case, byte for byte but for references.

A recording is a folder: `recording.json` (version, package, banner, argv, date, the binary's digest) and a text file
for each case, its lines as `references` leaves them. Only a real binary makes one: an ELF file that calls itself
QEMU. It is played twice; a case whose second run differs from the first is refused, since then something varies that
no reference stands for.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.edge.conform.case import parse, with_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmpemu.edge.conform.case import Case, Step
    from qmpemu.edge.conform.player import Heard

LINE_CHARACTERS_MAX = 1200
"""Longer lines are kept as their beginning, their length and their digest."""
CLAIM_CHARACTERS_MAX = 240
ABOUT = "recording.json"


class RecordingError(Exception):
    """A binary that cannot be recorded, or a recording that cannot be read; one sentence."""


class About(NamedTuple):
    """Where a recording comes from."""

    version: str
    package: str
    banner: str
    argv: str
    recorded: str
    binary_sha256: str


class Recording:
    """One recording, read case by case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.about = About(**json.loads((folder / ABOUT).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise RecordingError(f"{folder} holds no recording: {error}") from None

    def lines(self, case: Case) -> list[str] | None:
        """What was heard in this case, or None where it was not recorded."""
        try:
            return self.file(self.folder, case).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None

    @staticmethod
    def file(folder: Path, case: Case) -> Path:
        """Where a case's lines are."""
        return folder / f"{case.name}.txt"


def shipped(folder: Path) -> Iterator[Recording]:
    """Every recording under `folder`. Raises RecordingError."""
    for about in sorted(folder.glob(f"*/{ABOUT}")):
        yield Recording(about.parent)


def find(folder: Path, version: str, package: str) -> Recording | None:
    """The recording of a version under `folder`, or None."""
    for recording in shipped(folder):
        if (recording.about.version, recording.about.package) == (version, package):
            return recording
    return None


def shortened(line: str) -> str:
    """A heard line as it is kept and compared."""
    if len(line) <= LINE_CHARACTERS_MAX:
        return line
    digest = hashlib.sha256(line.encode()).hexdigest()
    return f"{line[:400]} ... {len(line)} characters, sha256 {digest}"


def provenance(binary: str, version: str, package: str) -> About:
    """About a real binary. Raises RecordingError for anything but an executable of QEMU's."""
    data = Path(binary).read_bytes()
    banner = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False).stdout
    if not data.startswith(b"\x7fELF") or not banner.startswith("QEMU emulator version"):
        raise RecordingError(f"{binary} is no real QEMU: recordings are made of nothing else")
    return About(
        version,
        package,
        banner.partition("\n")[0],
        "-nodefaults -display none -accel tcg, then the case's own words and its monitors",
        datetime.datetime.now(datetime.UTC).date().isoformat(),
        hashlib.sha256(data).hexdigest(),
    )


class Recorder:
    """Makes a recording. hear(case): what the real binary says to it."""

    def __init__(self, folder: Path, cases_folder: Path, hear: Callable[[Case], list[Heard]]) -> None:
        self._folder = folder
        self._cases_folder = cases_folder
        self._hear = hear

    def record(self, case: Case) -> str | None:
        """Record a case; one without claims gets what was heard as its claims. Why it is refused, if it is."""
        first = self._hear(case)
        text = None
        if not case.claims:
            text = self._claimed(case, first)
            case = parse(case.name, text)
        lines = [shortened(str(each.step)) for each in first]
        again = [shortened(str(each.step)) for each in self._hear(case)]
        if lines != again:
            at = next((n for n, pair in enumerate(zip(lines, again, strict=False)) if pair[0] != pair[1]), -1)
            return f"{case.name}: two runs of the same binary differ in line {at}: {lines[at:][:1]} {again[at:][:1]}"
        file = Recording.file(self._folder, case)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        if text is not None:
            self._case_file(case).write_text(text, encoding="utf-8")
        return None

    def finish(self, about: About) -> None:
        """Say where the recording comes from."""
        text = json.dumps(about._asdict(), indent=2) + "\n"
        (self._folder / ABOUT).write_text(text, encoding="utf-8")

    def _case_file(self, case: Case) -> Path:
        return self._cases_folder / f"{case.name}.qmp"

    def _claimed(self, case: Case, heard: list[Heard]) -> str:
        behind: dict[int, list[Step]] = {}
        for each in heard:
            step = each.step._replace(text=_elided(each.step.text))
            behind.setdefault(case.steps[each.place].line, []).append(step)
        return with_claims(self._case_file(case).read_text(encoding="utf-8"), behind.items())


def _elided(text: str) -> str:
    if len(text) <= CLAIM_CHARACTERS_MAX:
        return text
    return f"{text[:120]}...{text[-60:]}"
