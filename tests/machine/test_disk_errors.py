"""Disks that fail: policies, events, the run state, and how it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.driven import Driven

DISK = "-blockdev null-co,node-name=n0 -device virtio-blk-pci,drive=n0,id=vda"


def driven(policies: str = "") -> Driven:
    """A machine with one disk, whose Windows is up."""
    made = Driven(f"-machine q35 -nodefaults {DISK}{policies}")
    made.run(120)
    return made


def fail(machine: Driven, kind: str) -> Any:
    """Let the disk fail; the reply."""
    return machine.say("__org.qmpemu_disk_error", value=f"vda:{kind}")[-1]


def told(machine: Driven, seconds: float = 1) -> list[dict[str, Any]]:
    """Events of the next seconds, with their data."""
    machine.clock.run_until(machine.clock.now_ns + int(seconds * 1e9))
    return machine.heard()


def status(machine: Driven) -> tuple[str, str | None]:
    """Run state and the disk's io-status; a disk that never stops the machine has none."""
    (drive,) = machine.say("query-block")[-1]["return"]
    return machine.say("query-status")[-1]["return"]["status"], drive.get("io-status")


def test_no_space_stops_the_machine_until_there_is_some() -> None:
    """By default; cont tries again, and meets the same until it is mended."""
    machine = driven()
    assert fail(machine, "enospc") == {"return": {}}
    error, stop = told(machine)
    assert error["event"] == "BLOCK_IO_ERROR" and stop["event"] == "STOP"
    assert error["data"] == {
        "device": "",
        "node-name": "n0",
        "operation": "write",
        "action": "stop",
        "nospace": True,
        "reason": "No space left on device",
    }
    assert status(machine) == ("io-error", "nospace")
    assert [each["event"] for each in machine.say("cont")[:-1]] == ["RESUME"]
    assert status(machine) == ("running", "ok")
    assert [each["event"] for each in told(machine)] == ["BLOCK_IO_ERROR", "STOP"]
    fail(machine, "none")
    machine.say("cont")
    assert told(machine, 60) == [] and status(machine) == ("running", "ok")


@pytest.mark.parametrize(
    ("policies", "kind", "action"),
    [
        ("", "eio", "report"),
        ("", "read-eio", "report"),
        (",werror=stop", "eio", "stop"),
        (",rerror=stop", "read-eio", "stop"),
        (",werror=ignore", "enospc", "ignore"),
        (",werror=report", "enospc", "report"),
        (",werror=enospc", "eio", "report"),
        (",werror=auto", "enospc", "stop"),
    ],
)
def test_policies(policies: str, kind: str, action: str) -> None:
    """werror and rerror of the device decide."""
    machine = driven(policies)
    fail(machine, kind)
    error, *rest = told(machine)
    assert error["data"]["action"] == action
    assert [each["event"] for each in rest] == ["STOP"] * (action == "stop")
    state: str | None = (
        "failed" if action == "stop" and "eio" in kind else "nospace" if action == "stop" else "ok"
    )
    if policies in (",werror=ignore", ",werror=report"):
        state = None
    assert status(machine)[1] == state


def test_a_machine_that_stands_still_accesses_nothing() -> None:
    """It meets the fault when it runs again."""
    machine = driven()
    machine.say("stop")
    fail(machine, "enospc")
    assert told(machine, 30) == []
    machine.say("cont")
    assert [each["event"] for each in told(machine)] == ["BLOCK_IO_ERROR", "STOP"]


def test_what_is_wrong_is_said() -> None:
    """The device, or the kind."""
    machine = driven()
    for value, text in (
        ("vdb:eio", "no disk device 'vdb': there is vda"),
        ("vda", "'vda': expected DEVICE:KIND, with one of enospc, eio, read-eio, none"),
        ("vda:x", "'vda:x': expected DEVICE:KIND, with one of enospc, eio, read-eio, none"),
    ):
        reply = machine.say("__org.qmpemu_disk_error", value=value)[-1]
        assert reply["error"]["desc"] == text
