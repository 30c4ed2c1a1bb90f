"""What became of a case: its claims and the recording's bytes against what was heard, differences through the ledger.

agrees      every claim holds; where the version was recorded, every byte is the recorded one
tolerated   differences, all of them in the ledger
differs     a difference that is in no ledger
not asked   a case that needs a process of its own, on a server that runs already
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from qmpemu.edge.conform.recording import shortened

if TYPE_CHECKING:
    from qmpemu.edge.conform.case import Case, Step
    from qmpemu.edge.conform.ledger import Ledger
    from qmpemu.edge.conform.player import Heard

AGREES, TOLERATED, DIFFERS, NOT_ASKED = "agrees", "tolerated", "differs", "not asked"
OUTCOMES = (AGREES, TOLERATED, DIFFERS, NOT_ASKED)
SHORTENED = re.compile(r" \.\.\. \d+ characters, sha256 [0-9a-f]{64}$")
NOTHING_MORE = "(nothing more)"


class Difference(NamedTuple):
    """One line that is not as it should be. by: who says so, the case's claim or the recording."""

    line: int
    expected: str
    got: str
    by: str


class Result(NamedTuple):
    """What became of one case. note: of the target, e.g. that it could not be started."""

    case: Case
    outcome: str
    differences: list[Difference]
    seconds: float = 0.0
    note: str = ""


def holds(claim: Step, got: str) -> bool:
    """Whether what was heard is what the case claims; `...` in a claim stands for any text."""
    parts = str(claim).split("...")
    if SHORTENED.search(got):
        return got.startswith(parts[0])
    pattern = ".*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def judge(case: Case, heard: list[Heard] | list[str], recorded: list[str] | None, ledger: Ledger) -> Result:
    """The result of a run, or of a recording's lines."""
    got = [each if isinstance(each, str) else str(each.step) for each in heard]
    differences, tolerated = [], 0
    claims = case.claims
    for index in range(max(len(claims), len(got), len(recorded or ()))):
        difference = _difference(claims, got, recorded, index)
        if difference is None:
            continue
        real = recorded[index] if recorded is not None and index < len(recorded) else difference.expected
        if ledger.tolerates(real, difference.got):
            tolerated += 1
        else:
            differences.append(difference)
    outcome = DIFFERS if differences else TOLERATED if tolerated else AGREES
    return Result(case, outcome, differences)


def _difference(
    claims: list[Step], got: list[str], recorded: list[str] | None, index: int
) -> Difference | None:
    line = claims[index].line if index < len(claims) else 0
    text = got[index] if index < len(got) else NOTHING_MORE
    if index >= len(claims):
        return Difference(line, NOTHING_MORE, text, "claim")
    kept = shortened(text)
    if recorded is not None:
        expected = recorded[index] if index < len(recorded) else NOTHING_MORE
        if kept != expected:
            return Difference(line, expected, kept, "recording")
    if not holds(claims[index], text):
        return Difference(line, str(claims[index]), text, "claim")
    return None
