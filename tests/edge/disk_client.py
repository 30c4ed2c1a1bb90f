"""A machine with one disk of 8 MiB, and what its clients ask of it, for tests of the block layer."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulators import Emulator

DISK = "driver=qcow2,node-name=n0,file.driver=file,file.filename=disk.qcow2,file.node-name=f0"
RAW = "driver=raw,node-name=n0,file.driver=file,file.filename=disk.raw,file.node-name=f0"
CREATED = ["created", "running"]
DONE = ["waiting", "pending", "BLOCK_JOB_COMPLETED", "concluded", "null"]


def image(*words: str) -> str:
    """What qemu-img says; it fails where qemu-img does."""
    done = subprocess.run(["qemu-img", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(emulator: Emulator) -> Any:
    """A client of a machine with one disk."""
    emulator.start(
        "-machine", "q35", "-m", "64", "-S", "-blockdev", DISK, "-device", "virtio-blk-pci,drive=n0"
    )
    return emulator.client()


def told(client: Any, last: str) -> list[str]:
    """Job states and other events up to `last`, and the reply somewhere among them."""
    seen: list[str] = []
    replied = False
    while not replied or last not in seen:
        message = client.read()
        assert "error" not in message, message
        replied |= "return" in message
        if "event" in message:
            seen.append(message["data"].get("status", message["event"]))
    return seen


def drive(client: Any) -> Any:
    """What the drive shows."""
    return client.ask("query-block")["return"][0]["inserted"]


def nodes(client: Any) -> list[str]:
    """Drivers of all nodes, newest first."""
    return [each["drv"] for each in client.ask("query-named-block-nodes")["return"]]


def refusal(client: Any, command: str, **arguments: object) -> str:
    return str(client.ask(command, **arguments)["error"]["desc"])
