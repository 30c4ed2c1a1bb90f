"""The fuzzer itself: a short run of it passes, and it notices a fault."""

from __future__ import annotations

import random

import pytest
from fuzz import Pair, check, mutated

from qmpemu.qmp.session import Session


def test_a_thousand_inputs() -> None:
    """A quick part of `make fuzz`."""
    pick, pair = random.Random(1), Pair()
    for _ in range(1000):
        check(pair, mutated(pick), pick)


def test_a_fault_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that forgets ids does not get through."""
    monkeypatch.setattr(Session, "_reply", lambda self, message, result: self._queue({"return": result}))
    with pytest.raises(AssertionError, match="not recovered"):
        check(Pair(), b"", random.Random(1))
