"""qmp.order: the hash order of QDict (facts/qmp-wire.md §1.3), proved by echoes of the real QEMU."""

from __future__ import annotations

import json
import random
import socket

import pytest
from qemu_peer import read_line

from qmpemu.qmp import order
from qmpemu.qmp.encode import encode

pytestmark = pytest.mark.xdist_group("real-qemu")


def same_bucket_pair() -> tuple[str, str]:
    """Two names in one bucket."""
    seen: dict[int, str] = {}
    for number in range(1000):
        name = f"k{number}"
        if order.bucket(name) in seen:
            return seen[order.bucket(name)], name
        seen[order.bucket(name)] = name
    raise AssertionError("1000 names in 512 buckets")


def test_hundreds_of_names_in_both_orders(wire: socket.socket) -> None:
    """An echoed object of 600 members, so many share a bucket, comes back in our order, however it was sent."""
    pick = random.Random(7)
    names = ["", "\0", "a\0b", "é", "😀", "\x7f"] + [f"member-{pick.randrange(10**6)}" for _ in range(600)]
    for _ in range(3):
        pick.shuffle(names)
        sent = {"execute": "query-name", "id": dict.fromkeys(names, 1)}
        wire.sendall(json.dumps(sent).encode())
        assert read_line(wire) == encode({"return": {}, "id": sent["id"]}) + b"\r\n"


def test_newest_first_in_a_bucket() -> None:
    """Of two names in one bucket the one added last stands first."""
    one, other = same_bucket_pair()
    assert order.ordered({one: 1, other: 2}) == [(other, 2), (one, 1)]
    assert order.ordered({other: 2, one: 1}) == [(one, 1), (other, 2)]


def test_what_a_client_names_does_not_grow_the_cache() -> None:
    """Long names are not kept, and of short ones a bounded number."""
    long_name = "x" * 100_000
    assert order.bucket(long_name) == order.bucket(long_name)
    assert long_name not in order._cache
    for number in range(order._CACHED_MAX + 10):
        order.bucket(f"client-{number}")
    assert len(order._cache) <= order._CACHED_MAX
