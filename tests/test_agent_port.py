"""vm: the guest agent's port, its events, and the clock that the agent sets."""

from __future__ import annotations

import json
from typing import Any

from qmpemu.port import AGENT_PORT, Port
from tests.driven import Driven

LINE = (
    "-machine q35 -device virtio-serial-pci -chardev null,id=c0 "
    f"-device virtserialport,chardev=c0,name={AGENT_PORT},id=channel0"
)
YEAR_2030_NS = 1_893_456_000_000_000_000


def booted(**environment: str) -> Driven:
    """A cloud-tuned Windows that is up."""
    driven = Driven(LINE, **environment)
    driven.run(60)
    return driven


def ask(driven: Driven, execute: str, **arguments: object) -> Any:
    """One request to the agent; the events of that second are kept for `heard`."""
    port, replies = driven.vm.machine.ports[AGENT_PORT], bytearray()
    port.on_guest_data = replies.extend
    message = json.dumps({"execute": execute, "arguments": arguments}).encode()
    driven.vm.facts.run(None, lambda: port.host_write(message))
    driven.clock.run_until(driven.clock.now_ns + 1_000_000_000)
    return json.loads(replies)["return"]


def test_events_of_the_port() -> None:
    """It opens while Windows boots; a reset closes it, before it is reported; the next boot opens it."""
    driven = Driven(LINE)
    assert driven.run(60) == ["VSERPORT_CHANGE"]
    assert driven.vm.machine.chardevs["c0"].frontend_open
    said = [(m.get("event"), m.get("data")) for m in driven.say("system_reset")]
    assert [each for each in said if each[0] in ("VSERPORT_CHANGE", "RESET")] == [
        ("VSERPORT_CHANGE", {"open": False, "id": "channel0"}),
        ("RESET", {"guest": False, "reason": "host-qmp-system-reset"}),
    ]
    assert not driven.vm.machine.chardevs["c0"].frontend_open
    assert driven.run(60) == ["VSERPORT_CHANGE"]


def test_the_clock_outlives_a_reset() -> None:
    """guest-set-time sets the battery-backed clock too: an event says so, and the next boot reads it."""
    driven = booted()
    ask(driven, "guest-set-time", time=YEAR_2030_NS)
    (event,) = [m for m in driven.heard() if m.get("event") == "RTC_CHANGE"]
    assert event["data"]["offset"] > 0
    driven.say("system_reset")
    driven.run(100)
    assert 100e9 < ask(driven, "guest-get-time") - YEAR_2030_NS < 110e9


def test_the_agent_sees_what_the_machine_has() -> None:
    """Disks and processors come from the command line."""
    line = (
        LINE
        + " -smp 3 -blockdev driver=null-co,node-name=n,size=1073741824 -device virtio-blk-pci,drive=n,serial=S1"
    )
    driven = Driven(line)
    driven.run(60)
    assert len(ask(driven, "guest-get-vcpus")) == 3
    assert [disk["address"]["serial"] for disk in ask(driven, "guest-get-disks")] == ["S1"]


def test_a_port_that_comes_and_goes() -> None:
    """The agent opens a port that is plugged while Windows runs, lets go when it is gone, and finds the next one."""
    driven = Driven("-machine q35")
    driven.run(60)
    ports = driven.vm.machine.ports
    for _ in range(2):
        port = ports[AGENT_PORT] = Port(AGENT_PORT)
        driven.run(5)
        assert port.guest_open
        assert ask(driven, "guest-ping") == {}
        del ports[AGENT_PORT]
        assert not port.guest_open
    ports["other"] = Port("other")
    driven.run(5)
    assert not ports["other"].guest_open


def test_a_port_that_comes_before_the_agent_runs() -> None:
    """It is opened when the service starts, and not before."""
    driven = Driven("-machine q35", QMPEMU_SET="agent_start_ms=60000")
    port = driven.vm.machine.ports[AGENT_PORT] = Port(AGENT_PORT)
    driven.run(60)
    assert not port.guest_open
    driven.run(60)
    assert port.guest_open
