"""A pull backup: the filter's scratch image is served by NBD; ours and the real one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import image, start
from emulators import Emulator, say
from two import poll

pytestmark = pytest.mark.usefixtures("disk_image")


def pull(client: Any) -> None:
    """Begin one of `n0`, as libvirt does."""
    image("create", "-q", "-f", "qcow2", "scratch.qcow2", "8M")
    backup = {"device": "n0", "target": "scratch", "sync": "none", "job-id": "backup"}
    file = {"driver": "file", "filename": "scratch.qcow2"}
    say(client, "blockdev-add", driver="qcow2", node_name="scratch", file=file, backing="n0")
    say(client, "nbd-server-start", addr={"type": "unix", "data": {"path": "nbd.sock"}})
    assert say(client, "transaction", actions=[{"type": "blockdev-backup", "data": backup}]) == {}
    export = {"type": "nbd", "id": "export", "node_name": "scratch", "name": "vda"}
    assert say(client, "block-export-add", **export) == {}


def ending(client: Any) -> list[str]:
    """All that is told up to the end, in short."""
    words = []
    while message := client.read():
        data = message.get("data", {})
        words.append(data.get("status") or message.get("event", "return"))
    return words


PAUSED = ["paused", "running"]


@pytest.mark.parametrize("exported", [True, False])
def test_the_machine_ends_meanwhile(emulator: Emulator, exported: bool) -> None:
    """The export goes first, for which the job pauses twice; then the job is cancelled."""
    client = start(emulator)
    pull(client)
    if not exported:
        say(client, "nbd-server-stop")
        poll(lambda: say(client, "query-block-exports") == [])
    client.put("quit")
    served = [*PAUSED, *PAUSED, "BLOCK_EXPORT_DELETED"] if exported else []
    cancelled = ["aborting", "BLOCK_JOB_CANCELLED", "concluded", "null"]
    words = [word for word in ending(client) if word != "return"]
    assert words[words.index("SHUTDOWN") :] == ["SHUTDOWN", *served, *PAUSED, *cancelled]
