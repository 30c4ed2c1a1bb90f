"""The ledger: every difference from the real QEMU that is tolerated, why, since which evidence, and until when.

    [[tolerated]]
    real = '.* inf.*'                 # regular expressions that the two lines match as a whole
    ours = '.* 1e\\+999.*'
    reason = "..."
    versions = ["7.2.22"]             # of the real QEMU
    evidence = "numbers/beyond-double"  # the case that shows it: it keeps the entry in use
    expires = 2027-11-01

An entry that nothing used, that is past its date, or that lacks a member fails the run. There are no other skips.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES_MAX = 10
MEMBERS = {"real", "ours", "reason", "versions", "evidence", "expires"}


class LedgerError(Exception):
    """A ledger that is none; one sentence."""


class Entry:
    """One tolerated difference."""

    def __init__(self, number: int, given: dict[str, Any]) -> None:
        if missing := MEMBERS - given.keys():
            raise LedgerError(f"ledger, entry {number}: it lacks {', '.join(sorted(missing))}")
        if extra := given.keys() - MEMBERS:
            raise LedgerError(
                f"ledger, entry {number}: '{min(extra)}' is none of {', '.join(sorted(MEMBERS))}"
            )
        try:
            self._real, self._ours = re.compile(given["real"]), re.compile(given["ours"])
        except re.error as error:
            raise LedgerError(
                f"ledger, entry {number}: {error.pattern!r} is no expression: {error}"
            ) from None
        if not isinstance(given["expires"], datetime.date):
            raise LedgerError(f"ledger, entry {number}: expires must be a date, as in 2027-11-23")
        self.number = number
        self.reason: str = given["reason"]
        self.versions: list[str] = given["versions"]
        self.evidence: str = given["evidence"]
        self.expires: datetime.date = given["expires"]
        self.used = 0
        if not self.reason.strip() or not self.versions:
            raise LedgerError(f"ledger, entry {number}: a reason and at least one version are needed")

    def covers(self, real: str, ours: str) -> bool:
        """Whether this is the difference meant."""
        return bool(self._real.fullmatch(real) and self._ours.fullmatch(ours))


class Ledger:
    """The entries for one version of the real QEMU."""

    def __init__(self, entries: list[Entry], today: datetime.date) -> None:
        self.entries = entries
        self._today = today

    @classmethod
    def read(cls, path: Path, version: str, today: datetime.date) -> Ledger:
        """The entries of a file that are for `version`. Raises LedgerError."""
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LedgerError(f"{path} cannot be read: {error}") from None
        entries = [Entry(number, each) for number, each in enumerate(given.get("tolerated", []), 1)]
        if len(entries) > ENTRIES_MAX:
            raise LedgerError(
                f"{path} tolerates {len(entries)} differences; more than {ENTRIES_MAX} are too many"
            )
        return cls([entry for entry in entries if version in entry.versions], today)

    def tolerates(self, real: str, ours: str) -> bool:
        """Whether an entry covers these two lines; it counts as used."""
        for entry in self.entries:
            if entry.covers(real, ours):
                entry.used += 1
                return True
        return False

    def complaints(self, *, whole: bool) -> list[str]:
        """What is wrong with the ledger itself. whole: every case was run, so each entry should have been used."""
        found = []
        for entry in self.entries:
            if entry.expires < self._today:
                found.append(f"ledger, entry {entry.number} expired on {entry.expires}: {entry.reason}")
            if whole and not entry.used:
                found.append(f"ledger, entry {entry.number} was not used ({entry.evidence}): {entry.reason}")
        return found
