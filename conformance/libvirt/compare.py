"""One table on the real QEMU and on ours, and the two monitor logs laid side by side.

The order of all lines of a table counts, of events against replies as well. A line is not tied to its row: what
libvirt's own threads ask after an event may fall behind the last check of the row that caused it. Where the lines
differ, the two logs are aligned like the two files of a `diff`, and each pair that differs goes through the ledger.
"""

from __future__ import annotations

import difflib
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from conformance.libvirt.stage import RowFailed, Stage
from qmpemu.edge.conform.judge import NOTHING_MORE
from qmpemu.guests.registry import NONE

if TYPE_CHECKING:
    from conformance.libvirt.table import Table
    from qmpemu.edge.conform.ledger import Ledger
    from tests.libvirt.libvirtd import Libvirtd

T = TypeVar("T")
FIRMWARE_RESET = '"event": "RESET", "data": {"guest": true,'
"""After each system_reset SeaBIOS resets once more by itself."""
HANDSHAKE = '-> {"execute":"qmp_capabilities"'
"""Whether libvirt gets to send it to an emulator that ends at its start is a race."""
REFRESH = (
    '"execute":"qom-list","arguments":{"path":"/machine/peripheral"}',
    '"execute":"qom-get","arguments":{"path":"/machine/peripheral/video0"',
    '"execute":"query-block",',
    '"execute":"query-memory-devices"',
)
"""What libvirt asks after every RESET, whoever caused it."""
LATER_PASS = re.compile(r'"event": "MIGRATION_PASS", "data": {"pass": (?:[2-9]|\d\d)')
"""How often memory is gone over again, before or after STOP, follows from what SeaBIOS writes meanwhile."""
POLLS = ('"execute":"query-block-jobs"', '"execute":"query-dump"')
"""How often virsh looks how far a job is follows from how long it takes."""
MIGRATION = '"execute":"query-migrate",'
UNDER_WAY = re.compile(r'"status": "(?:setup|active|pre-switchover|device|postcopy-active)"')
"""How far a migration is when libvirt wakes up, and how often it does, follows from how long it takes."""
ARRIVES = re.compile(r'"event": "MIGRATION", "data": {"status": "(?:active|completed)"}')
FINISH = ('"execute":"query-chardev"', '"execute":"nbd-server-stop"')
"""Whether the destination's events come before libvirt, told by the source, begins to finish is a race."""
RACING = ('"execute":"block-commit"', '"execute":"migrate-continue"')
"""Whether what these begin is told of before they are answered is a race in the real one too."""


class Said(NamedTuple):
    """One line of a log and the row during which it was written."""

    row: str
    text: str


class Run(NamedTuple):
    """One table on one side. failed: rows that did not hold; seconds: per virsh line."""

    said: list[Said]
    failed: list[str]
    seconds: dict[str, float]


class Difference(NamedTuple):
    """Two lines that should be equal."""

    row: str
    real: str
    ours: str


def play(libvirtd: Libvirtd, table: Table, emulator: str, guest: str) -> Run:
    """Play the rows that the real QEMU does too."""
    said: list[Said] = []
    failed: list[str] = []
    with Stage(libvirtd, table, emulator, guest) as stage:
        for row in table.rows:
            if not row.real:
                continue
            try:
                stage.play(row)
            except RowFailed as failure:
                failed.append(str(failure))
            if row.compared:
                said += (Said(row.name, str(line)) for line in stage.said())
        return Run(told(said), failed, stage.seconds)


def told(said: list[Said]) -> list[Said]:
    """The log as it is compared: each reply with its question, and without what only SeaBIOS's own resets cause.

    Its events are left out, and so is a question of REFRESH that got no reply, or that which it got the last time.
    """
    kept: list[Said] = []
    known: dict[str, str] = {}
    question = Said("", "")
    unanswered: Said | None = None
    for each in said:
        if each.text.startswith("-> "):
            _drop_unanswered(kept, unanswered)
            question = unanswered = each
            if not _is_poll(each):
                kept.append(each)
        elif each.text.startswith("<- "):
            unanswered = None
            if _is_poll(question):
                continue
            is_same = known.get(question.text) == each.text
            is_under_way = MIGRATION in question.text and UNDER_WAY.search(each.text)
            if is_under_way or (is_same and _is_one_of(question, REFRESH)):
                del kept[_last(kept, question)]
                continue
            if is_same and MIGRATION in question.text:
                _drop_earlier(kept, _answer(each, question).text, question.text)
            known[question.text] = each.text
            at = _last(kept, question) + 1 if _is_one_of(question, RACING) else len(kept)
            kept.insert(at, _answer(each, question))
        elif each.text.startswith("!! ") and kept and HANDSHAKE in kept[-1].text:
            kept[-1] = each
        elif unanswered is not None and _is_late(each, unanswered):
            kept.insert(_last(kept, unanswered), each)
        elif FIRMWARE_RESET not in each.text and not LATER_PASS.search(each.text):
            kept.append(each)
    _drop_unanswered(kept, unanswered)
    return kept


def _is_late(event: Said, question: Said) -> bool:
    return ARRIVES.search(event.text) is not None and _is_one_of(question, FINISH)


def _answer(reply: Said, question: Said) -> Said:
    return reply._replace(text=f"{reply.text}   to {question.text[3:]}")


def _drop_earlier(kept: list[Said], answer: str, question: str) -> None:
    """Of two answers that are the same only the later one counts."""
    texts = [each.text for each in kept]
    at = _last(texts, answer)
    del kept[at], kept[_last(texts[:at], question)]


def _last(lines: list[T], wanted: T) -> int:
    return len(lines) - 1 - lines[::-1].index(wanted)


def _is_one_of(question: Said, texts: tuple[str, ...]) -> bool:
    return any(text in question.text for text in texts)


def _is_poll(question: Said) -> bool:
    return _is_one_of(question, POLLS)


def _drop_unanswered(kept: list[Said], question: Said | None) -> None:
    """Whether libvirt gets to ask once more before it ends the emulator is a race."""
    if question is not None and _is_one_of(question, REFRESH):
        del kept[_last(kept, question)]


def both(
    real: Libvirtd, ours: Libvirtd, table: Table, binaries: tuple[str, str], *, at_once: bool = True
) -> tuple[Run, Run]:
    """Both sides: (the real one, ours). at_once: in parallel, else one after the other. Raises what a side raised."""
    with ThreadPoolExecutor(2 if at_once else 1) as sides:
        one = sides.submit(play, real, table, binaries[0], "")
        other = sides.submit(play, ours, table, binaries[1], NONE)
        return one.result(), other.result()


def differences(real: list[Said], ours: list[Said], ledger: Ledger) -> list[Difference]:
    """Every pair of lines that differs and is in no ledger.

    Row by row, unless the two tables as a whole lie closer to each other, as when a line fell behind its row.
    """
    rows = dict.fromkeys(said.row for said in (*real, *ours))
    by_row = [
        pair
        for row in rows
        for pair in _pairs([s for s in real if s.row == row], [s for s in ours if s.row == row])
    ]
    pairs = min(_pairs(real, ours), by_row, key=len) if by_row else []
    return [pair for pair in pairs if not ledger.tolerates(pair.real, pair.ours)]


def _pairs(real: list[Said], ours: list[Said]) -> list[Difference]:
    matcher = difflib.SequenceMatcher(None, [s.text for s in real], [s.text for s in ours], autojunk=False)
    nothing = Said("", NOTHING_MORE)
    found = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            for one, other in zip_longest(real[i1:i2], ours[j1:j2], fillvalue=nothing):
                found.append(Difference(one.row or other.row, one.text, other.text))
    return found


def where(real: str, ours: str, width: int = 160) -> tuple[str, str]:
    """Both lines from shortly before the place where they part."""
    at = next(
        (n for n, (a, b) in enumerate(zip(real, ours, strict=False)) if a != b), min(len(real), len(ours))
    )
    begin = max(0, at - width // 3)
    dots = "... " if begin else ""
    return tuple(dots + text[begin : begin + width] for text in (real, ours))  # type: ignore[return-value]
