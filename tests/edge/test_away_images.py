"""Images that belong to a guest elsewhere, which is still to come or has gone: nobody writes to them; ours and real."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import DISK, image
from emulators import Emulator, say
from two import poll

pytestmark = pytest.mark.usefixtures("disk_image")
BOARD = ("-machine", "q35", "-m", "64", "-S", "-blockdev", DISK, "-device", "virtio-blk-pci,drive=n0")
READ_ONLY = "Block node is read-only"
ABLE = "does not support"


@pytest.fixture(params=["to come", "gone"])
def client(request: pytest.FixtureRequest, emulator: Emulator) -> Any:
    """Of a machine whose guest is not there."""
    incoming = ("-incoming", "defer") if request.param == "to come" else ()
    made = emulator.start(*BOARD, *incoming).client()
    if not incoming:
        say(made, "migrate", uri="exec:cat > /dev/null")
        poll(lambda: bool(say(made, "query-migrate")["status"] == "completed"))
        poll(lambda: bool(say(made, "query-status")["status"] == "postmigrate"))
    return made


def human(client: Any, line: str) -> str:
    """What the human monitor says."""
    return str(say(client, "human-monitor-command", command_line=line))


def test_no_snapshot_is_taken(client: Any, emulator: Emulator) -> None:
    """Neither of the machine nor of the image."""
    assert human(client, "savevm a") == f"Error: Device 'n0' is writable but {ABLE} snapshots\r\n"
    assert human(client, "info snapshots") == "no block device can store vmstate for snapshot\r\n"
    snapshot = {"device": "n0", "name": "a"}
    why = f"Block format 'qcow2' used by device 'n0' {ABLE} internal snapshots"
    assert say(client, "blockdev-snapshot-internal-sync", **snapshot) == why
    action = {"type": "blockdev-snapshot-internal-sync", "data": snapshot}
    assert say(client, "transaction", actions=[action]) == why
    emulator.kill()
    assert image("snapshot", "-l", "disk.qcow2") == ""


def test_no_copy_is_made_by_a_files_name(client: Any) -> None:
    """What would be written to has the image's state."""
    copy = {"device": "n0", "target": "copy.qcow2", "sync": "full", "job_id": "j"}
    assert say(client, "drive-mirror", **copy) == READ_ONLY
    assert say(client, "drive-backup", **copy) == f"Could not create node: {READ_ONLY}"
    assert say(client, "query-jobs") == []


def test_what_is_exported_is_used(emulator: Emulator) -> None:
    """Storage is copied to it before its guest comes; others are still nobody's."""
    client = emulator.start(*BOARD, "-incoming", "defer").client()
    say(client, "blockdev-add", driver="null-co", node_name="t", size=8 << 20)
    say(client, "nbd-server-start", addr={"type": "unix", "data": {"path": "nbd.sock"}})
    assert say(client, "block-export-add", type="nbd", id="e", node_name="n0", writable=True) == {}
    assert say(client, "blockdev-snapshot-internal-sync", device="n0", name="a") == {}
    assert say(client, "blockdev-mirror", device="n0", target="t", sync="full", job_id="j") == READ_ONLY
    assert say(client, "query-jobs") == []


def test_no_image_is_made_on_a_node(client: Any) -> None:
    """Of before the guest came or went: the job says so, and the file is left alone."""
    options = {"driver": "qcow2", "file": "n0", "size": 8 << 20}
    client.put("blockdev-create", job_id="j", options=options)
    told = [client.read() for _ in range(5)]
    words = ["created", "running", "aborting", "concluded"]
    assert [each["data"]["status"] for each in told[:4]] == words
    assert told[4] == {"return": {}}
    row = {"current-progress": 1, "total-progress": 1, "id": "j", "type": "create"}
    assert say(client, "query-jobs") == [{**row, "status": "concluded", "error": READ_ONLY}]
    assert say(client, "blockdev-create", job_id="j", options=options) == "Job ID 'j' already in use"
    assert say(client, "job-dismiss", id="j") == {}
