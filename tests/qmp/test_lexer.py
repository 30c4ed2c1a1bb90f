"""qmp.lexer: the quick path and the exact path read alike; limits; cost linear in the input."""

from __future__ import annotations

import json

import pytest
from corpus import BROKEN, ENVELOPES, IDS
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
    st.sampled_from(IDS + ENVELOPES + BROKEN),
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
