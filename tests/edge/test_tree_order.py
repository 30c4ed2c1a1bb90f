"""The order in which the object tree lists what has come and gone: the same on ours as on the real QEMU."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import Emulator, say

if TYPE_CHECKING:
    from pathlib import Path

PLACES = (
    "/ /machine /machine/unattached /machine/peripheral /machine/peripheral-anon /objects /chardevs".split()
)
BUS = "/machine/i440fx/pci.0"
MACHINES = ("-name x", "-smp 2,maxcpus=4", "-m 128,slots=4,maxmem=1G -device e1000 -object iothread,id=a")
CARDS = ("pcnet", "virtio-net-pci", "e1000", "rtl8139", "virtio-scsi-pci")


def acts(seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Objects, character devices and devices that come and go, the same for each seed."""
    chance = random.Random(seed)
    made: list[tuple[str, dict[str, Any]]] = []
    there: list[tuple[str, str]] = []
    for number in range(30):
        name = f"n{seed}-{number}"
        what = chance.choice(("object", "object", "chardev", "device", "device", "gone", "gone"))
        if what == "object":
            made.append(("object-add", {"qom_type": chance.choice(("iothread", "rng-builtin")), "id": name}))
            there.append(("object-del", name))
        elif what == "chardev":
            made.append(("chardev-add", {"id": name, "backend": {"type": "null", "data": {}}}))
            there.append(("chardev-remove", name))
        elif what == "device":
            driver = CARDS[number % len(CARDS)] if number else "virtio-net-pci"
            made.append(("device_add", {"driver": driver, "id": name}))
        elif there:
            command, gone = there.pop(chance.randrange(len(there)))
            made.append((command, {"id": gone}))
    return made


@pytest.mark.parametrize("seed", range(6))
def test_as_real(seed: int, tmp_path: Path) -> None:
    """Whatever came and went before it was first looked at, and after."""
    told: list[list[object]] = []
    for kind in ("real", "ours"):
        folder = tmp_path / kind
        folder.mkdir()
        emulator = Emulator(kind, folder)
        try:
            client = emulator.start("-S", *MACHINES[seed % len(MACHINES)].split()).client()
            found: list[object] = []
            for command, arguments in acts(seed) + acts(seed + 100):
                found.append(say(client, command, **arguments))
            found += [say(client, "qom-list", path=path) for path in (*PLACES, BUS)]
            found.append([row["id"] for row in say(client, "query-iothreads")])
            found.append([row["label"] for row in say(client, "query-chardev")])
        finally:
            emulator.kill()
        told.append(found)
    assert told[1] == told[0]
