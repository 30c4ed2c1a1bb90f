"""The parts of the suite: how cases are read, references made, lines judged, and the ledger kept."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpemu.edge.conform.case import CaseError, Step, parse, payload, quoted
from qmpemu.edge.conform.judge import AGREES, DIFFERS, TOLERATED, holds, judge
from qmpemu.edge.conform.ledger import Ledger, LedgerError
from qmpemu.edge.conform.references import References

TODAY = datetime.date(2026, 11, 23)
ENTRY = """[[tolerated]]
real = 'a inf'
ours = 'a 1e999'
reason = "why"
versions = ["7.2.22"]
evidence = "ids/x"
expires = 2027-01-01
"""


def test_a_case_is_read() -> None:
    """Heads, clients and marks of a case."""
    case = parse("a/b", "# Title.\n# more\nargv: -S\nmonitors: 2\n\n-> {}\nb <- x\n<x\n! connect b 2\n")
    assert (case.title, case.argv, case.monitors, case.area) == ("Title.", "-S", 2, "a")
    assert [(s.client, s.kind, s.text) for s in case.steps] == [
        ("a", "->", "{}"),
        ("b", "<-", "x"),
        ("a", "<x", ""),
        ("a", "!", "connect b 2"),
    ]
    assert case.needs_process
    assert not parse("a/b", "# T\n-> {}\n").needs_process


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("-> {}\n", "case x: its first line must say what it claims"),
        ("# t\nnope: 1\n", "case x, line 2: 'nope' is no head: valid are"),
        ("# t\n>> {}\n", "case x, line 2: neither a step"),
        ("# t\n! dance\n", "case x, line 2: '! dance' is no act: valid are"),
        ("# t\n! close\n", "case x, line 2: write '! close CLIENT'"),
        ("# t\n=> abc\n", "case x, line 2: write bytes as"),
        ('# t\n=> 9999999 * "abc"\n', "case x, line 2: more than 1 MiB"),
        ("# t\nmonitors: two\n", "case x: 'monitors: two' must be a number"),
    ],
)
def test_a_wrong_case_gets_one_sentence(text: str, sentence: str) -> None:
    """What, where and what would be right."""
    with pytest.raises(CaseError, match=f"^{__import__('re').escape(sentence)}"):
        parse("x", text)


@given(st.binary(max_size=60))
def test_bytes_are_written_and_read(data: bytes) -> None:
    """`quoted` and `payload` are each other's inverse."""
    assert payload(quoted(data)) == data
    assert quoted(data).isascii()


def test_references_keep_identity() -> None:
    """Equal values get equal references, different ones different ones; time may not run backwards."""
    references = References("/tmp/x")
    line = '{"timestamp": {"seconds": 5, "microseconds": 7}, "event": "E"}'
    assert references.replace(line) == '{"timestamp": $time, "event": "E"}'
    assert references.replace(line.replace("5", "4")) == line.replace("5", "4")
    assert references.replace(line.replace("5", "4"), "b") == '{"timestamp": $time, "event": "E"}'
    assert references.replace('[{"thread-id": 7}, {"thread-id": 9}, {"thread-id": 7}]') == (
        '[{"thread-id": $thread1}, {"thread-id": $thread2}, {"thread-id": $thread1}]'
    )
    assert references.replace('{"fd": 12, "x": "/tmp/x/y"}') == '{"fd": $fd1, "x": "$folder/y"}'


@pytest.mark.parametrize(
    ("claim", "got", "expected"),
    [
        ('{"return": {}}', '<- {"return": {}}', True),
        ('{"return": {}}', '<- {"return": []}', False),
        ('{"return": ...}', '<- {"return": [1, 2]}', True),
        ("{...}", "<x", False),
    ],
)
def test_claims(claim: str, got: str, expected: bool) -> None:
    """A claim is the line itself, with `...` for any text."""
    assert holds(Step("a", "<-", claim), got) is expected


def test_judging() -> None:
    """A missing, another or a further line differs; a recording is compared byte for byte."""
    case = parse("x/y", "# t\n-> {}\n<- a\n<- b...\n")
    none = Ledger([], TODAY)
    assert judge(case, ["<- a", "<- bc"], None, none).outcome == AGREES
    assert judge(case, ["<- a"], None, none).outcome == DIFFERS
    assert judge(case, ["<- b", "<- a"], None, none).outcome == DIFFERS
    assert judge(case, ["<- a", "<- b", "<- c"], None, none).outcome == DIFFERS
    assert judge(case, ["<- a", "<- bc"], ["<- a", "<- bc"], none).outcome == AGREES
    assert judge(case, ["<- a", "<- bc"], ["<- a", "<- bd"], none).outcome == DIFFERS


def test_ledger(tmp_path: Path) -> None:
    """An entry tolerates its difference only, for its versions, until its date; an unused one is a complaint."""
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY)
    ledger = Ledger.read(path, "7.2.22", TODAY)
    assert len(ledger.complaints(whole=True)) == 1
    assert ledger.complaints(whole=False) == []
    assert ledger.tolerates("a inf", "a 1e999")
    assert not ledger.tolerates("a inf", "b")
    assert ledger.complaints(whole=True) == []
    assert Ledger.read(path, "8.0.0", TODAY).entries == []
    late = Ledger.read(path, "7.2.22", datetime.date(2027, 1, 2))
    assert late.tolerates("a inf", "a 1e999")
    assert "expired on 2027-01-01" in late.complaints(whole=True)[0]
    case = parse("x/y", "# t\n<- inf\n")
    path.write_text(ENTRY.replace("a inf", "<- inf").replace("a 1e999", "<- 1e999"))
    assert judge(case, ["<- 1e999"], ["<- inf"], Ledger.read(path, "7.2.22", TODAY)).outcome == TOLERATED


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("expires = 2027-01-01\n", ""), "it lacks expires"),
        (("reason", "excuse"), "it lacks reason"),
        (("reason = ", "more = 1\nreason = "), "'more' is none of"),
        (("'a inf'", "'('"), "is no expression"),
        (('"why"', '" "'), "a reason and at least one version are needed"),
        (("[[tolerated]]", "[[tolerated"), "cannot be read"),
        (("expires = 2027-01-01", 'expires = "soon"'), "expires must be a date"),
    ],
)
def test_a_wrong_ledger_fails(change: tuple[str, str], sentence: str, tmp_path: Path) -> None:
    """There is no entry without reason, evidence and date."""
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY.replace(*change))
    with pytest.raises(LedgerError, match=sentence.replace("'", ".")):
        Ledger.read(path, "7.2.22", TODAY)


def test_a_ledger_has_ten_entries_at_most(tmp_path: Path) -> None:
    """More than ten tolerated differences are too many."""
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY * 11)
    with pytest.raises(LedgerError, match="more than 10"):
        Ledger.read(path, "7.2.22", TODAY)
