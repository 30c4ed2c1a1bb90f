"""qmp.leftover: which unexpected member is named, proved by the real QEMU."""

from __future__ import annotations

import json
import random
import socket

import pytest
from qemu_peer import read_line

from qmpemu.qmp.leftover import SIMULATED_MAX, first_unexpected

pytestmark = pytest.mark.xdist_group("real-qemu")


def test_the_same_member_is_named(wire: socket.socket) -> None:
    """From 2 to 300 unexpected members, with and without visited ones: the text is QEMU's."""
    pick = random.Random(5)
    for count in [2, 3, 5, 7, 8, 9, 13, 14, 16, 17, 30, 60, 100, 300] * 8:
        names = {
            "".join(pick.choice("abcxyzé-_19😀") for _ in range(pick.randrange(7))): 1 for _ in range(count)
        }
        visited = [name for name in ("device", "node-name") if pick.random() < 0.5] + ["size"]
        members: dict[str, object] = {**names, **dict.fromkeys(visited, "x"), "size": 1}
        members = dict(pick.sample(list(members.items()), len(members)))
        wire.sendall(json.dumps({"execute": "block_resize", "arguments": members}).encode())
        desc = json.loads(read_line(wire))["error"]["desc"]
        assert desc == f"Parameter '{first_unexpected(members, visited)}' is unexpected"


def test_nothing_left() -> None:
    """All members visited: none is named."""
    assert first_unexpected({"a": 1, "b": 2}, ["b", "a"]) is None
    assert first_unexpected({}, []) is None


def test_very_many_members_are_not_followed() -> None:
    """Above the limit the first one sent is named: a client cannot make the check slow."""
    many: dict[str, object] = {f"k{number}": 1 for number in range(SIMULATED_MAX + 1)}
    assert first_unexpected(many, []) == "k0"
