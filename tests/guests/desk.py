"""Somebody at the console of a rig's guest."""

from __future__ import annotations

import pytest

from qmpemu.guests.windows import operator as console
from qmpemu.guests.windows.operator import Operator, OperatorError
from tests.guests.rig import CLIENT, Rig

DAY_S = 24 * 3600


def at(rig: Rig) -> Operator:
    """The operator of the rig's latest boot; a key wakes the machine."""
    return console.of(rig.guests[-1], lambda: rig.ask(rig.board.request_wakeup))


def client(**settings: str) -> Rig:
    """A client with somebody logged on and its display always lit."""
    return Rig(CLIENT, {"VIDEOIDLE": "0", **settings}).boot()


def refused(rig: Rig, name: str, argument: str = "") -> str:
    """The sentence with which an act is refused."""
    with pytest.raises(OperatorError) as raised:
        at(rig).do(name, argument)
    assert rig.all("OperatorRefused")[-1].data() == {"action": name, "why": str(raised.value)}
    return str(raised.value)
