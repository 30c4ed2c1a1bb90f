"""Image files that are deleted, moved or replaced under a machine: it goes on with what it has open; ours and real."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import DISK, DONE, drive, image, nodes, start, told
from emulators import Emulator, say

from qmpemu.edge import vm_state
from qmpemu.edge.image_locks import FileLock

pytestmark = pytest.mark.usefixtures("disk_image")
GONE = "Could not open 'disk.qcow2': No such file or directory"


def human(client: Any, line: str) -> str:
    """What the human monitor says."""
    return str(say(client, "human-monitor-command", command_line=line))


def test_a_disk_whose_file_is_deleted(emulator: Emulator) -> None:
    """It is resized, watched, served and copied, and told of as if nothing had been."""
    client = start(emulator)
    Path("disk.qcow2").unlink()
    assert say(client, "block_resize", node_name="n0", size=16 << 20) == {}
    assert say(client, "block-dirty-bitmap-add", node="n0", name="b", persistent=True) == {}
    shown = drive(client)
    assert (shown["file"], shown["image"]["virtual-size"]) == ("disk.qcow2", 16 << 20)
    client.put("drive-mirror", device="n0", target="copy.qcow2", sync="full", job_id="j")
    told(client, "BLOCK_JOB_READY")
    client.put("job-complete", id="j")
    assert told(client, "null") == DONE
    assert drive(client)["file"] == "copy.qcow2"
    assert not Path("disk.qcow2").exists()


def test_snapshots_in_a_file_that_is_gone(emulator: Emulator) -> None:
    """They are taken, listed, gone back to and forgotten, be it with its folder."""
    Path("folder").mkdir()
    os.rename("disk.qcow2", "folder/disk.qcow2")
    emulator.start(
        *("-machine", "q35", "-m", "64", "-S", "-device", "virtio-blk-pci,drive=n0"),
        *("-blockdev", DISK.replace("disk.qcow2", "folder/disk.qcow2")),
    )
    client = emulator.client()
    Path("folder/disk.qcow2").unlink()
    Path("folder").rmdir()
    assert human(client, "savevm a") == ""
    assert human(client, "info snapshots").splitlines()[2].split()[:2] == ["--", "a"]
    assert human(client, "loadvm a") == ""
    assert human(client, "delvm a") == ""
    assert human(client, "info snapshots") == "There is no snapshot available.\r\n"


def test_another_file_of_its_name(emulator: Emulator) -> None:
    """Is left as it is."""
    client = start(emulator)
    os.rename("disk.qcow2", "moved.qcow2")
    image("create", "-q", "-f", "qcow2", "disk.qcow2", "4M")
    assert human(client, "savevm a") == ""
    assert drive(client)["image"]["virtual-size"] == 8 << 20
    emulator.kill()
    assert image("snapshot", "-l", "disk.qcow2") == ""
    assert len(image("snapshot", "-l", "moved.qcow2").splitlines()) == 3


def test_an_overlay_over_a_file_that_is_gone(emulator: Emulator) -> None:
    """It names the file as the machine does."""
    client = start(emulator)
    os.rename("disk.qcow2", "moved.qcow2")
    given = {"node_name": "n0", "snapshot_file": "over.qcow2", "snapshot_node_name": "o"}
    assert say(client, "blockdev-snapshot-sync", **given) == {}
    shown = drive(client)
    assert (shown["file"], shown["backing_file"]) == ("over.qcow2", "disk.qcow2")
    assert nodes(client) == ["qcow2", "file", "qcow2", "file"]
    below = client.ask("query-named-block-nodes")["return"][2]
    assert (below["file"], below["ro"]) == ("disk.qcow2", False)  # to change that takes the name
    emulator.kill()
    made = json.loads(image("info", "-U", "--output=json", "over.qcow2"))
    assert (made["backing-filename"], made["virtual-size"]) == ("disk.qcow2", 8 << 20)


def test_a_backing_file_that_is_gone(emulator: Emulator) -> None:
    """It is streamed from; nothing is committed into one that would have to be opened anew, for writing."""
    image("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "over.qcow2")
    words = ["-machine", "q35", "-m", "64", "-S", "-device", "virtio-blk-pci,drive=over"]
    above = None
    for name in ("disk", "over"):
        file = {"driver": "file", "filename": f"{name}.qcow2", "auto-read-only": True}
        node = {"driver": "qcow2", "node-name": name, "file": file, "read-only": above is None}
        words += ["-blockdev", json.dumps({**node, "backing": above})]
        above = name
    client = emulator.start(*words).client()
    Path("disk.qcow2").unlink()
    assert say(client, "block-commit", device="over", job_id="j") == GONE
    assert drive(client)["file"] == "over.qcow2"
    client.put("block-stream", device="over", job_id="j")
    told(client, "null")
    assert nodes(client)[:2] == ["qcow2", "file"] and "backing_file" not in drive(client)


def test_a_lost_file_is_opened_by_its_name(emulator: Emulator) -> None:
    """When a node is to write to it no more: it is refused, and writes on."""
    client = start(emulator)
    image("create", "-q", "-f", "qcow2", "other.qcow2", "8M")
    file = {"driver": "file", "filename": "other.qcow2", "node-name": "f1"}
    say(client, "blockdev-add", driver="qcow2", node_name="n1", file=file)
    os.rename("other.qcow2", "moved.qcow2")
    options = {"driver": "qcow2", "node-name": "n1", "file": "f1"}
    why = say(client, "blockdev-reopen", options=[{**options, "read-only": True}])
    assert why == "Could not open 'other.qcow2': No such file or directory"
    assert say(client, "blockdev-reopen", options=[{**options, "read-only": False}]) == {}
    rows = {each["node-name"]: each["ro"] for each in say(client, "query-named-block-nodes")}
    assert (rows["n1"], rows["f1"]) == (False, False)


def test_a_guest_that_was_kept_ends_with_its_image() -> None:
    """A file that comes to its descriptor has none of its guests."""
    lock = FileLock("disk.qcow2")
    Path("disk.qcow2").unlink()
    path = lock.elsewhere()
    assert path is not None
    vm_state.save(path, "a", b"guest")
    assert vm_state.load(path, "a") == b"guest"
    lock.close()
    assert vm_state.load(path, "a") is None
