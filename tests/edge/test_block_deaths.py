"""The real block layer dies, and what it has made goes on under a new one."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import drive, image, start, told
from emulators import Emulator
from test_storage_daemon import daemon

pytestmark = pytest.mark.usefixtures("disk_image")


def test_a_copy_outlives_the_back_end(ours: Emulator) -> None:
    """The real block layer that is started anew opens the drive's nodes under the names they have."""
    client = start(ours)
    client.put("drive-mirror", device="n0", target="copy.qcow2", sync="full", job_id="j")
    told(client, "BLOCK_JOB_READY")
    client.put("block-job-complete", device="j")
    told(client, "null")
    name = drive(client)["node-name"]
    os.kill(daemon(ours), signal.SIGKILL)
    client.put("blockdev-snapshot-sync", node_name=name, snapshot_file="o.qcow2", snapshot_node_name="o")
    while "return" not in (message := client.read()):
        assert message["error"]["desc"] == "The block back end has died", message  # it was not seen dead yet
        client.put("blockdev-snapshot-sync", node_name=name, snapshot_file="o.qcow2", snapshot_node_name="o")
    assert drive(client)["node-name"] == "o"
    assert drive(client)["backing_file"] == "copy.qcow2"


def test_a_job_that_has_ended_outlives_the_back_end(ours: Emulator) -> None:
    """It ended well, and says so until it is dismissed, though it began in a transaction; the other one did not."""
    client = start(ours)
    client.ask("blockdev-add", driver="null-co", node_name="null", size=8 << 20)
    backup = {"device": "n0", "target": "null", "sync": "full", "job-id": "well", "auto-dismiss": False}
    client.put("transaction", actions=[{"type": "blockdev-backup", "data": backup}])
    told(client, "concluded")
    client.put("blockdev-backup", **{**backup, "job-id": "not", "speed": 1})
    while "return" not in client.read():
        pass
    os.kill(daemon(ours), signal.SIGKILL)
    while (message := client.read())["event"] != "BLOCK_JOB_COMPLETED":
        pass
    assert message["data"]["error"] == "Input/output error"
    assert client.read()["data"] == {"status": "concluded", "id": "not"}
    rows = {each["id"]: each for each in client.ask("query-jobs")["return"]}
    assert (rows["well"]["current-progress"], rows["well"].get("error")) == (8 << 20, None)
    assert rows["not"]["error"] == "Input/output error"
    client.put("job-dismiss", id="well")
    assert [client.read().get("event"), client.read()] == ["JOB_STATUS_CHANGE", {"return": {}}]


def test_a_node_that_was_reopened_is_what_it_has_become(ours: Emulator) -> None:
    """For the real block layer that is started anew, too."""
    image("create", "-q", "-f", "qcow2", "other.qcow2", "8M")
    client = start(ours)
    file = {"driver": "file", "filename": "other.qcow2", "node-name": "f1"}
    client.ask("blockdev-add", driver="qcow2", node_name="n1", file=file)
    options = {"driver": "qcow2", "node-name": "n1", "file": "f1", "read-only": True, "backing": "n0"}
    given = {"node_name": "n0", "snapshot_file": "o.qcow2", "snapshot_node_name": "o"}
    client.ask("blockdev-snapshot-sync", **given)
    assert client.ask("blockdev-reopen", options=[options]) == {"return": {}}
    os.kill(daemon(ours), signal.SIGKILL)
    while "return" not in (message := client.ask("block_resize", node_name="o", size=8 << 20)):
        assert message["error"]["desc"] == "The block back end has died", message
    (row,) = [each for each in client.ask("query-named-block-nodes")["return"] if each["node-name"] == "n1"]
    assert (row["ro"], row["backing_file_depth"]) == (True, 1)
