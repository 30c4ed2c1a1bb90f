"""guests.agent: whatever is asked, each request has one answer, or the silence that its command is known for."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from qmpemu.guests.agent import registry
from qmpemu.hardware import DiskDrive, Hardware, Nic
from tests.guests.rig import CLIENT, CLOUD_SERVER, Rig

HARDWARE = Hardware(
    disks=(DiskDrive("virtio", size_bytes=1 << 30), DiskDrive("sata", optical=True, size_bytes=1 << 20)),
    nics=(Nic("e1000e", "52:54:00:12:34:56", "user"),),
)
ENDS = {"guest-shutdown", "guest-suspend-disk", "guest-suspend-ram"}
VALUES: dict[str, list[Any]] = {
    "int": [0, 1, 2, -1, 999, 1000, 1001, 2004, 2**63 - 1, 2**63, 1.5, "x", None],
    "str": [
        "",
        "C:\\Temp\\a",
        "C:\\",
        "cmd.exe",
        "hostname",
        "ping",
        "r",
        "w",
        "a+",
        "Administrator",
        "aGk=",
        "!",
        7,
    ],
    "bool": [True, False, 0],
    "[str]": [
        [],
        ["/c", "echo x > C:\\Temp\\a & type C:\\Temp\\a"],
        ["-n", "3", "localhost"],
        ["C:\\"],
        [1],
        "x",
    ],
    "GuestFileWhence": [0, 1, 2, 3, "set", "cur", "end", "zz", None, 1.5],
    "[GuestLogicalProcessor]": [[], [{}]],
    "[GuestMemoryBlock]": [[], [{}]],
}


def request(random: Random) -> dict[str, Any]:
    """A command with arguments that are mostly of the right kind."""
    name = random.choice(sorted(set(registry.LISTED) - ENDS))
    arguments: dict[str, Any] = {}
    for argument, kind in registry.COMMANDS[name].arguments.items():
        if random.random() < (0.6 if kind.endswith("?") else 0.95):
            arguments[argument] = random.choice(VALUES[kind.rstrip("?")])
    return {"execute": name, "arguments": arguments, "id": random.randrange(10**6)}


@pytest.mark.parametrize("seed", range(20))
def test_every_request_has_its_answer(seed: int) -> None:
    """300 requests, between them time, the operator and a reset: one reply each, in order, and the guest ends well."""
    registry.load()
    random = Random(seed)
    rig = Rig(random.choice([CLIENT, CLOUD_SERVER]), {"QEMU-GA": "running"}, hardware=HARDWARE).boot()
    for _ in range(30):
        asked = [request(random) for _ in range(random.randrange(1, 20))]
        data = b"".join(json.dumps(each).encode() for each in asked)
        replies = rig.send(data, random.choice([5, 40])).replace(b"\xff", b"").splitlines()
        assert [json.loads(each)["id"] for each in replies] == [each["id"] for each in asked]
        if random.random() < 0.1:
            rig.ask(lambda: rig.board.request_reset(guest=False, reason="host-qmp-system-reset"))
            rig.run(60)
    rig.send(b'{"execute": "guest-fsfreeze-thaw"}', 5)
    assert rig.send(b'{"execute": "guest-shutdown"}', 120) == b""
    assert rig.board.exit_status == 0
    assert rig.port.guest_open is False
