"""machine.history: what leaves no trace is forgotten, and a guest that is polled for weeks still travels."""

from __future__ import annotations

import json
from random import Random
from time import perf_counter
from typing import Any

import pytest

from qmpemu.core.clock import NS_PER_MS
from qmpemu.machine.migration import state
from qmpemu.machine.runstate import PAUSED, RUNNING
from qmpemu.port import AGENT_PORT
from tests.driven import Driven

LINE = (
    "-machine q35 -name w -device virtio-serial-pci -chardev null,id=c0 "
    f"-device virtserialport,chardev=c0,name={AGENT_PORT},id=channel0"
)
ASKS = (
    {"execute": "guest-sync", "arguments": {"id": 7}},
    {"execute": "guest-ping"},
    {"execute": "guest-info"},
    {"execute": "guest-get-osinfo"},
    {"execute": "guest-get-time"},
    {"execute": "guest-get-users"},
    {"execute": "guest-get-fsinfo"},
    {"execute": "guest-get-disks"},
    {"execute": "guest-get-vcpus"},
    {"execute": "guest-network-get-interfaces"},
    {"execute": "guest-nonsense"},
)
ACTS = (
    {"execute": "guest-exec", "arguments": {"path": "cmd.exe", "arg": ["/c", "ver"], "capture-output": True}},
    {"execute": "guest-exec-status", "arguments": {"pid": 1}},
    {"execute": "guest-set-time"},
    {"execute": "guest-fsfreeze-freeze"},
    {"execute": "guest-fsfreeze-thaw"},
)


def guest(line: str = LINE, **environment: str) -> Driven:
    """A cloud-tuned Windows that is up, with its agent."""
    driven = Driven(line, **environment)
    driven.run(90)
    return driven


def ask(driven: Driven, message: dict[str, Any], wait_s: float = 1) -> None:
    """What a client of the agent writes, in one piece or two."""
    data = json.dumps(message).encode() + b"\n"
    receive = driven.vm.machine.chardevs["c0"].receive
    for piece in (data[:9], data[9:]) if wait_s == 0.5 else (data,):
        driven.vm.facts.run(None, lambda piece=piece: receive(piece))  # type: ignore[misc]
        driven.run(0.001)
    driven.run(wait_s)


def arrived(driven: Driven) -> Driven:
    """Another machine that goes on from there; the state went over a wire."""
    other = Driven(LINE + " -S")
    state.restore(other.vm.machine, json.loads(json.dumps(state.capture(driven.vm.machine))), RUNNING)
    other.vm.machine.board.runstate = PAUSED
    other.say("cont")
    return other


def reply(driven: Driven, message: dict[str, Any]) -> bytes:
    """What the agent says to it."""
    port, heard = driven.vm.machine.ports[AGENT_PORT], bytearray()
    port.on_guest_data = heard.extend
    driven.vm.facts.run(None, lambda: port.host_write(json.dumps(message).encode()))
    driven.run(2)
    return bytes(heard)


def test_a_guest_that_is_asked_for_weeks_travels_in_a_moment() -> None:
    """A month of a request every minute leaves nothing behind."""
    driven = guest()
    for number in range(5_000):
        ask(driven, ASKS[number % len(ASKS)], 500)
    driven.run(1)
    before = perf_counter()
    other = arrived(driven)
    assert perf_counter() - before < 5
    assert len(driven.vm.machine.history.entries) < 10
    assert reply(driven, ASKS[5]) == reply(other, ASKS[5])


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_asked_and_done_the_guest_arrives_as_it_was(seed: int) -> None:
    """Requests whole and in halves, that ask and that act; forgotten or not, all is alike."""
    dice = Random(seed)
    driven = guest(QMPEMU_SEED=str(seed))
    for _ in range(40):
        ask(driven, dice.choice(ASKS if dice.random() < 0.8 else ACTS), dice.choice((0, 0.003, 0.5, 1, 30)))
        if dice.random() < 0.1:
            driven.say("stop")
            driven.run(dice.uniform(0, 5))
            driven.say("cont")
    other = arrived(driven)
    assert len(driven.vm.machine.history.entries) < 40
    for message in (*ASKS, ACTS[0]):
        ours, theirs = reply(driven, message), reply(other, message)
        assert ours
        assert ours == theirs or message["execute"] == "guest-get-time"


def test_half_a_request_is_kept() -> None:
    """The other half may come on the other machine."""
    driven = guest()
    receive = driven.vm.machine.chardevs["c0"].receive
    driven.vm.facts.run(None, lambda: receive(b'{"execute": "guest-'))
    driven.run(5)
    other = arrived(driven)
    port, heard = other.vm.machine.ports[AGENT_PORT], bytearray()
    port.on_guest_data = heard.extend
    other.vm.facts.run(None, lambda: port.host_write(b'ping"}'))
    other.run(1)
    assert bytes(heard) == b'{"return": {}}\n'


def test_a_moving_pointer_is_noted_at_its_first_and_last_place_of_a_second() -> None:
    """An hour at sixty places a second: few entries, and the pointer stands where it stood."""
    line = "-machine q35 -name w -device VGA -usb -device usb-tablet"
    driven = Driven(line, QMPEMU_GUEST="windows-10")
    driven.run(90)
    console = driven.vm.machine.console
    for number in range(20_000):
        console.feed("abs", "x", number % 32_768)
        console.feed("abs", "y", (number * 7) % 32_768)
        driven.clock.run_until(driven.clock.now_ns + 16 * NS_PER_MS)
    assert len(driven.vm.machine.history.entries) < 2_000
    other = Driven(line + " -S")
    state.restore(other.vm.machine, json.loads(json.dumps(state.capture(driven.vm.machine))), RUNNING)
    assert other.vm.machine.console.screen() == console.screen()
