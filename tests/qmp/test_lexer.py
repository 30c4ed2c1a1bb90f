"""qmp.lexer: the quick path and the exact path read alike; limits; cost linear in the input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import BROKEN, ENVELOPES, IDS, ODD
from hypothesis import given
from hypothesis import strategies as st

from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.lexer import TOKENS_MAX, Lexer


def depth_of(value: object) -> int:
    """How many containers stand inside one another, without recursion."""
    depth = 0
    while isinstance(value, dict | list):
        depth += 1
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return depth


PIECES = st.one_of(
    st.sampled_from(IDS + ENVELOPES + BROKEN + ODD),
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b",", b":", b'"', b"'", b"\\", b" ", b"\n", b"0", b"1", b"-", b".", b"e"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps({"a": value}).encode()),
    st.binary(max_size=8),
)


def read(lexer: Lexer, chunks: list[bytes]) -> list[object]:
    """Every value, errors as their text, numbers told apart by type."""
    values = [value for chunk in chunks for value in lexer.feed(chunk)]
    return [value.desc if isinstance(value, QmpError) else repr(value) for value in values]


@given(st.lists(PIECES, max_size=8), st.lists(st.integers(1, 40), max_size=12))
def test_the_quick_path_reads_what_the_exact_path_reads(pieces: list[bytes], cuts: list[int]) -> None:
    """Any bytes, cut anywhere: both paths give the same values and the same errors."""
    data = b"".join(pieces)
    chunks, at = [], 0
    for cut in cuts:
        chunks.append(data[at : at + cut])
        at += cut
    chunks.append(data[at:])
    assert read(Lexer(), chunks) == read(Lexer(quick=False), [data])


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.text(st.characters(exclude_categories=["Cs", "Cn"])),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cn"])), inner)
        ),
    )
)
def test_json_comes_back(value: object) -> None:
    """What any JSON encoder writes is read as the same value."""
    assert read(Lexer(quick=False), [json.dumps([value]).encode()]) == [repr([value])]
    assert read(Lexer(quick=False), [json.dumps([value], ensure_ascii=False).encode()]) == [repr([value])]


@pytest.mark.parametrize("quick", [True, False])
def test_nesting_limit(quick: bool) -> None:
    """1024 brackets deep is accepted, the 1025th is refused at once and the rest is new input."""
    (value,) = Lexer(quick=quick).feed(b"[" * 1024 + b"]" * 1024)
    assert depth_of(value) == 1024
    assert read(Lexer(quick=quick), [b"[" * 1025]) == ["JSON nesting depth limit exceeded"]
    (value,) = Lexer(quick=quick).feed(b'{"a":' * 1024 + b"1" + b"}" * 1024)
    assert depth_of(value) == 1024
    assert read(Lexer(quick=quick), [b'{"a":' * 1025])[0] == "JSON nesting depth limit exceeded"


def test_token_limit() -> None:
    """2,097,152 tokens are too many by one for a message that needs another; then all is well again."""
    lexer = Lexer()
    chunk = b"1," * 8192
    out: list[object] = list(lexer.feed(b"["))
    for _ in range(TOKENS_MAX // (2 * 8192)):
        out += lexer.feed(chunk)
    assert [str(value) for value in out] == ["JSON token count limit exceeded"]
    assert read(lexer, [b'\xff{"a":1}'])[-1] == "{'a': 1}"


def test_a_long_string_in_small_pieces_costs_its_length() -> None:
    """A megabyte a few bytes at a time is looked at once: no rescan from the start (counted in lexer steps)."""
    lexer = Lexer()
    assert list(lexer.feed(b'{"a":"')) == []
    for _ in range(20_000):
        assert list(lexer.feed(b"x" * 50)) == []
    (value,) = lexer.feed(b'"}')
    assert value == {"a": "x" * 1_000_000}


def test_a_consumer_may_stop_in_the_middle() -> None:
    """Values are given one by one: what is not asked for is not executed."""
    values = Lexer().feed(b'{"a":1}{"b":2}')
    assert next(iter(values)) == {"a": 1}


def test_one_line_for_the_exact_path_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many messages in one chunk only the line with a numeric escape is tokenized."""
    lexer = Lexer()
    tokenized: list[bytes] = []
    feed = type(lexer._tokenizer).feed
    monkeypatch.setattr(
        type(lexer._tokenizer), "feed", lambda self, data, at: tokenized.append(data) or feed(self, data, at)
    )
    chunk = b'{"id":1}\n' * 50 + b'{"id":"\\u0041"}\n' + b'{"id":2}\n' * 50
    values = [value["id"] for value in lexer.feed(chunk) if isinstance(value, dict)]
    assert values == [1] * 50 + ["A"] + [2] * 50
    assert set(tokenized) == {b'{"id":"\\u0041"}\n'}


def run_bare(code: str) -> str:
    """What `code` prints in an interpreter that has imported nothing else."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_the_first_commands_import_nothing() -> None:
    """Reading an ordinary line needs neither `re` nor `json`, each milliseconds of the start."""
    code = (
        "import sys; from qmpemu.qmp.lexer import Lexer\n"
        "print([*Lexer().feed(b'{\"a\":2}\\r\\n')], {'re', 'json'}.intersection(sys.modules))"
    )
    assert run_bare(code) == "[{'a': 2}] set()\n"


def test_the_json_package_is_not_needed() -> None:
    """An incomplete or wrong message is read exactly although C json has no exception to raise without `json`."""
    code = (
        "import sys; from qmpemu.qmp.lexer import Lexer; it = Lexer()\n"
        "print([*it.feed(b'{\"a\":')], [*it.feed(b'1}{}')], [*it.feed(b'{1}')], 'json' in sys.modules)"
    )
    assert run_bare(code) == (
        "[] [{'a': 1}, {}] [QmpError('JSON parse error, key is not a string in object')] False\n"
    )


@pytest.mark.parametrize("chunk", [65536, 70001])
def test_token_size_limit(chunk: int) -> None:
    """A name of 64 MiB: the limit's error, one stray for the tail of the string, then the next command works (§4.8)."""
    lexer = Lexer()
    data = b'{"execute":"' + b"a" * (64 << 20) + b'"}\n{"execute":"query-name"}'
    out = [value for at in range(0, len(data), chunk) for value in lexer.feed(data[at : at + chunk])]
    assert [value.desc if isinstance(value, QmpError) else value for value in out] == [
        "JSON token size limit exceeded",
        "JSON parse error, stray '\"}\n'",
        {"execute": "query-name"},
    ]
