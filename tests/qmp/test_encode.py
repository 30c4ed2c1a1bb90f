"""qmp.encode and qmp.order: how QEMU writes JSON (facts/qmp-wire.md §1, §3.2)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpemu.qmp.encode import Raw, compact, encode, encode_pretty
from qmpemu.qmp.order import bucket, ordered


def test_compact() -> None:
    """Nothing stands between, members are in their order, and what it says is what `encode` says."""
    value = {"b": [1, {}, None, -0.5, True], "a": 'é"\x7f', "c": {"z": [], "y": {"": ""}}}
    assert compact(value) == b'{"b":[1,{},null,-0.5,true],"a":"\\u00E9\\"\\u007F","c":{"z":[],"y":{"":""}}}'
    assert json.loads(compact(value)) == json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"id": 1, "return": {}}, b'{"return": {}, "id": 1}'),
        (
            {"running": True, "singlestep": False, "status": "x"},
            b'{"status": "x", "singlestep": false, "running": true}',
        ),
        ({"b": 1, "a": {"z": [], "y": {}}}, b'{"a": {"y": {}, "z": []}, "b": 1}'),
        (
            'é\u2028😀\x7f\x00\b\f\n\r\t"\\/<>&',
            b'"\\u00E9\\u2028\\uD83D\\uDE00\\u007F\\u0000\\b\\f\\n\\r\\t\\"\\\\/<>&"',
        ),
        (
            [0.1, 1.0, 1e5, 1e16, 1e17, -0.0],
            b"[0.10000000000000001, 1, 100000, 10000000000000000, 1e+17, -0]",
        ),
        (
            [2**64 - 1, -(2**63), 2**64],
            b"[18446744073709551615, -9223372036854775808, 1.8446744073709552e+19]",
        ),
        ([float("inf"), float("-inf"), 10**400], b"[1e+999, -1e+999, 1e+999]"),
        ([None, True, False, [], {}], b"[null, true, false, [], {}]"),
        ({"a": Raw(b'{"z":  1}')}, b'{"a": {"z":  1}}'),
    ],
)
def test_the_form_on_the_wire(value: object, text: bytes) -> None:
    """Spaces, escapes, member order and numbers are QEMU's."""
    assert encode(value) == text


def test_pretty() -> None:
    """Four spaces a level, CRLF, empty brackets on two lines; recorded replies are laid out anew."""
    assert encode_pretty({"return": Raw(b'{"a": [], "b": [1]}')}) == (
        b'{\r\n    "return": {\r\n        "a": [\r\n        ],\r\n'
        b'        "b": [\r\n            1\r\n        ]\r\n    }\r\n}'
    )


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_order_loses_nothing(members: dict[str, object]) -> None:
    """Ordering is by bucket and keeps every member."""
    rows = ordered(members)
    assert dict(rows) == members
    assert [bucket(name) for name, _ in rows] == sorted(bucket(name) for name in members)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        ),
    )
)
def test_what_leaves_is_json(value: object) -> None:
    """Any JSON reader reads back what we write, in both layouts."""
    assert json.loads(encode(value)) == value
    assert json.loads(encode_pretty(value)) == value


def test_what_has_no_json_form_is_our_bug() -> None:
    """An object of ours that slips into a reply raises instead of leaving as text."""
    with pytest.raises(TypeError, match="bytes has no JSON form"):
        encode({"a": b"x"})


def test_deeper_than_the_stack() -> None:
    """The 1023 levels that a client may send as an id leave again, in both layouts."""
    deep: object = []
    for _ in range(511):
        deep = [{"a": deep}]
    assert encode(deep) == b'[{"a": ' * 511 + b"[]" + b"}]" * 511
    pretty = encode_pretty(deep)
    assert b"".join(pretty.split()) == b'[{"a":' * 511 + b"[]" + b"}]" * 511
    assert pretty.count(b"\r\n") == 2 * 1022 + 1
