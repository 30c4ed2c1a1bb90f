"""Snapshots, copies and backups by a file's name, as old clients send them: ours and the real one, and qemu-img."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import CREATED, DISK, DONE, RAW, drive, image, nodes, refusal, start, told
from emulators import Emulator

pytestmark = pytest.mark.usefixtures("disk_image")


def test_a_snapshot_moves_the_drive_onto_its_overlay(emulator: Emulator) -> None:
    """The overlay belongs to the drive: nobody may delete it, and what is below it is busy."""
    client = start(emulator)
    given = {"node_name": "n0", "snapshot_file": "over.qcow2"}
    assert refusal(client, "blockdev-snapshot-sync", **given) == "New overlay node-name missing"
    assert client.ask("blockdev-snapshot-sync", **given, snapshot_node_name="o1") == {"return": {}}
    shown = drive(client)
    assert (shown["node-name"], shown["file"], shown["backing_file"]) == ("o1", "over.qcow2", "disk.qcow2")
    assert nodes(client) == ["qcow2", "file", "qcow2", "file"]
    assert refusal(client, "blockdev-del", node_name="o1") == "Node o1 is in use"
    busy = "Node 'n0' is busy: node is used as backing hd of 'o1'"
    assert refusal(client, "blockdev-del", node_name="n0") == busy
    assert refusal(client, "blockdev-snapshot-sync", **given, snapshot_node_name="o2") == busy
    emulator.kill()
    assert "backing file: disk.qcow2" in image("info", "over.qcow2")
    image("check", "-q", "over.qcow2")


def test_a_copy_that_the_drive_goes_over_to(emulator: Emulator) -> None:
    """The target that was given no name keeps the one it got; the source stays, it was added by blockdev-add."""
    client = start(emulator)
    client.put("drive-mirror", device="n0", target="copy.qcow2", sync="full", job_id="j")
    assert told(client, "BLOCK_JOB_READY") == [*CREATED, "ready", "BLOCK_JOB_READY"]
    assert nodes(client) == ["mirror_top", "qcow2", "file", "qcow2", "file"]
    assert drive(client)["node-name"] == "n0"
    rows = client.ask("query-named-block-nodes")["return"]
    names = [each["node-name"] for each in rows]
    client.put("block-job-complete", device="j")
    assert told(client, "null") == DONE
    assert drive(client)["node-name"] == names[1]
    assert [each["node-name"] for each in client.ask("query-named-block-nodes")["return"]] == names[1:]
    assert refusal(client, "blockdev-del", node_name=names[1]) == f"Node {names[1]} is in use"
    assert client.ask("blockdev-del", node_name="n0") == {"return": {}}
    assert nodes(client) == ["qcow2", "file"]
    emulator.kill()
    assert image("compare", "disk.qcow2", "copy.qcow2") == "Images are identical.\n"


def test_a_stop_and_a_reset_let_jobs_pause(emulator: Emulator) -> None:
    """Behind STOP, and before RESET, the job tells that it stood still, before the reply."""
    client = start(emulator)
    client.put("drive-mirror", device="n0", target="copy.qcow2", sync="full", job_id="j", node_name="t")
    told(client, "BLOCK_JOB_READY")
    client.put("cont")
    client.put("stop")
    messages = [client.read() for _ in range(6)]
    words = [each.get("data", {}).get("status", each.get("event", "return")) for each in messages]
    assert words == ["RESUME", "return", "STOP", "standby", "ready", "return"]
    client.put("system_reset")
    messages = [client.read() for _ in range(4)]
    words = [each.get("data", {}).get("status", each.get("event", "return")) for each in messages]
    assert words == ["standby", "ready", "RESET", "return"]


def test_jobs_at_the_end(emulator: Emulator) -> None:
    """All pause, in the order of their nodes; the latest goes on first, to be cancelled."""
    client = start(emulator)
    for node in ("one", "one-copy", "two", "two-copy"):
        client.ask("blockdev-add", driver="null-co", node_name=node, size=1 << 20)
    for name in ("two", "one"):
        client.put("blockdev-mirror", device=name, target=f"{name}-copy", sync="full", job_id=name)
        told(client, "BLOCK_JOB_READY")
    client.put("quit")
    words = []
    while message := client.read():
        data = message.get("data", {})
        words.append((data.get("id", data.get("device")), data.get("status", message.get("event"))))
    assert words[0] == (None, "SHUTDOWN") and words[1:3] == [("one", "standby"), ("two", "standby")]
    ending = ["ready", "aborting", "BLOCK_JOB_CANCELLED", "concluded", "null"]
    assert [each for each in words[3:] if each[0]] == [
        (job, word) for job in ("one", "two") for word in ending
    ]


def test_a_copy_of_the_top_goes_over_the_same_backing_file(emulator: Emulator) -> None:
    """The overlay that the drive leaves is gone: the drive alone kept it."""
    client = start(emulator)
    client.ask("blockdev-snapshot-sync", node_name="n0", snapshot_file="o1.qcow2", snapshot_node_name="o1")
    client.put("drive-mirror", device="o1", target="copy.qcow2", sync="top", job_id="j", node_name="t")
    told(client, "BLOCK_JOB_READY")
    client.put("job-complete", id="j")
    told(client, "null")
    shown = drive(client)
    assert (shown["node-name"], shown["backing_file"]) == ("t", "disk.qcow2")
    assert nodes(client) == ["qcow2", "file", "qcow2", "file"]
    assert refusal(client, "blockdev-del", node_name="o1") == "Failed to find node with node-name='o1'"


def test_a_copy_that_is_given_up(emulator: Emulator) -> None:
    """Its target's node goes with the job, the file stays."""
    client = start(emulator)
    client.put("drive-mirror", device="n0", target="copy.qcow2", sync="full", job_id="j", node_name="t")
    told(client, "BLOCK_JOB_READY")
    client.put("block-job-cancel", device="j")
    assert told(client, "null") == DONE
    assert drive(client)["node-name"] == "n0"
    assert nodes(client) == ["qcow2", "file"]
    emulator.kill()
    assert image("compare", "disk.qcow2", "copy.qcow2") == "Images are identical.\n"


def test_a_backup_puts_its_filter_below_the_drive(emulator: Emulator) -> None:
    """As long as it runs the drive shows the filter."""
    client = start(emulator)
    client.put("drive-backup", device="n0", target="b.qcow2", sync="full", job_id="j", speed=65536)
    while "return" not in client.read():
        pass
    assert drive(client)["drv"] == "copy-before-write"
    assert nodes(client) == ["copy-before-write", "qcow2", "file", "qcow2", "file"]
    client.put("block-job-set-speed", device="j", speed=0)
    assert told(client, "null") == DONE
    assert (drive(client)["node-name"], nodes(client)) == ("n0", ["qcow2", "file"])
    emulator.kill()
    assert image("compare", "disk.qcow2", "b.qcow2") == "Images are identical.\n"


def test_a_filter_that_has_a_name_is_shown(emulator: Emulator) -> None:
    """One that has none is not, but for a backup's."""
    client = start(emulator)
    for more, shown in (({}, "n0"), ({"filter_node_name": "filter"}, "filter")):
        client.ask("blockdev-add", driver="null-co", node_name="null", size=8 << 20)
        client.put("blockdev-mirror", device="n0", target="null", sync="full", job_id="j", **more)
        told(client, "BLOCK_JOB_READY")
        assert drive(client)["node-name"] == shown
        client.put("block-job-cancel", device="j")
        told(client, "null")
        client.ask("blockdev-del", node_name="null")


def test_a_backup_and_a_snapshot_at_once(emulator: Emulator) -> None:
    """What the job holds while it runs is the drive's afterwards."""
    client = start(emulator)
    backup = {"device": "n0", "target": "b.qcow2", "sync": "full", "job-id": "j"}
    overlay = {"node-name": "n0", "snapshot-file": "o1.qcow2", "snapshot-node-name": "o1"}
    actions = [
        {"type": "drive-backup", "data": backup},
        {"type": "blockdev-snapshot-sync", "data": overlay},
    ]
    client.put("transaction", actions=actions)
    told(client, "null")
    assert drive(client)["node-name"] == "o1"
    assert client.ask("block-dirty-bitmap-add", node="o1", name="b") == {"return": {}}
    assert nodes(client) == ["qcow2", "file", "qcow2", "file"]
    emulator.kill()
    assert image("compare", "disk.qcow2", "b.qcow2") == "Images are identical.\n"


def test_actions_are_undone_together(emulator: Emulator) -> None:
    """A snapshot beside a backup that cannot begin has not been."""
    client = start(emulator)
    overlay = {"node-name": "n0", "snapshot-file": "o1.qcow2", "snapshot-node-name": "o1"}
    backup = {"device": "n0", "target": "/nope/b.qcow2", "sync": "full", "job-id": "j"}
    actions = [
        {"type": "blockdev-snapshot-sync", "data": overlay},
        {"type": "drive-backup", "data": backup},
    ]
    why = "Could not create '/nope/b.qcow2': No such file or directory"
    assert refusal(client, "transaction", actions=actions) == why
    assert (drive(client)["node-name"], nodes(client)) == ("n0", ["qcow2", "file"])


def test_an_overlay_that_is_committed_is_gone(emulator: Emulator) -> None:
    """The drive is on what it was on before, and that is writable again."""
    client = start(emulator)
    client.ask("blockdev-snapshot-sync", node_name="n0", snapshot_file="o1.qcow2", snapshot_node_name="o1")
    client.put("block-commit", device="o1", job_id="j")
    told(client, "BLOCK_JOB_READY")
    client.put("job-complete", id="j")
    told(client, "null")
    shown = drive(client)
    assert (shown["node-name"], shown["ro"], nodes(client)) == ("n0", False, ["qcow2", "file"])
    client.ask("blockdev-snapshot-sync", node_name="n0", snapshot_file="o2.qcow2", snapshot_node_name="o1")
    client.ask("blockdev-snapshot-sync", node_name="o1", snapshot_file="o3.qcow2", snapshot_node_name="o2")
    client.put("block-stream", device="o2", base_node="n0", job_id="j")
    told(client, "null")
    assert (drive(client)["backing_file"], nodes(client)) == ("disk.qcow2", ["qcow2", "file"] * 2)


def test_a_bitmap_of_an_overlay_that_is_made_with_it(emulator: Emulator) -> None:
    """The overlay is kept, and its bitmap with it."""
    client = start(emulator)
    overlay = {"node-name": "n0", "snapshot-file": "o1.qcow2", "snapshot-node-name": "o1"}
    actions = [
        {"type": "blockdev-snapshot-sync", "data": overlay},
        {"type": "block-dirty-bitmap-add", "data": {"node": "o1", "name": "b"}},
    ]
    assert client.ask("transaction", actions=actions) == {"return": {}}
    assert [each["name"] for each in drive(client)["dirty-bitmaps"]] == ["b"]
    assert nodes(client) == ["qcow2", "file"] * 2


def test_a_raw_disk_is_backed_up(emulator: Emulator) -> None:
    """The filter of the job keeps others from writing to the file, which the drive's own process does."""
    image("create", "-q", "-f", "raw", "disk.raw", "1M")
    emulator.start(
        "-machine", "q35", "-m", "64", "-S", "-blockdev", RAW, "-device", "virtio-blk-pci,drive=n0"
    )
    client = emulator.client()
    client.put("drive-backup", device="n0", target="b.qcow2", sync="full", job_id="j")
    assert told(client, "null") == [*CREATED, "paused", "running", *DONE]
    emulator.kill()
    assert image("compare", "disk.raw", "b.qcow2") == "Images are identical.\n"


def test_a_raw_disk_that_nothing_was_pulled_into(emulator: Emulator) -> None:
    """It has no backing file, and is opened again after the guest was saved."""
    image("create", "-q", "-f", "raw", "disk.raw", "1M")
    emulator.start(
        "-machine", "q35", "-m", "64", "-S", "-blockdev", RAW, "-device", "virtio-blk-pci,drive=n0"
    )
    client = emulator.client()
    client.put("block-stream", device="n0", job_id="j")
    told(client, "null")
    assert client.ask("migrate", uri="exec:cat > saved") == {"return": {}}
    while client.ask("query-migrate")["return"].get("status") != "completed":
        pass
    client.put("cont")
    while client.read() != {"return": {}}:
        pass
    assert client.ask("block-dirty-bitmap-add", node="n0", name="b") == {"return": {}}


def test_the_base_of_a_disk_that_came_with_its_overlay(emulator: Emulator) -> None:
    """Nobody has named it; the drive goes over to it when its overlay is committed."""
    image("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "over.qcow2")
    disk = DISK.replace("disk.qcow2", "over.qcow2")
    emulator.start(
        "-machine", "q35", "-m", "64", "-S", "-blockdev", disk, "-device", "virtio-blk-pci,drive=n0"
    )
    client = emulator.client()
    client.put("block-commit", device="n0", job_id="j")
    told(client, "BLOCK_JOB_READY")
    client.put("job-complete", id="j")
    told(client, "null")
    shown = drive(client)
    assert (shown["file"], shown["node-name"][:6], shown["ro"]) == ("disk.qcow2", "#block", False)
    assert client.ask("block-dirty-bitmap-add", node=shown["node-name"], name="b") == {"return": {}}


def test_internal_snapshots_of_a_disk(emulator: Emulator) -> None:
    """By themselves, and as actions that are all undone."""
    client = start(emulator)
    assert client.ask("blockdev-snapshot-internal-sync", device="n0", name="a") == {"return": {}}
    one = {"type": "blockdev-snapshot-internal-sync", "data": {"device": "n0", "name": "b"}}
    again = "Snapshot with name 'a' already exists on device 'n0'"
    two = {"type": "blockdev-snapshot-internal-sync", "data": {"device": "n0", "name": "a"}}
    assert refusal(client, "transaction", actions=[one, two]) == again
    assert [each["name"] for each in drive(client)["image"]["snapshots"]] == ["a"]
    gone = client.ask("blockdev-snapshot-delete-internal-sync", device="n0", name="a")["return"]
    assert (gone["name"], gone["id"], gone["vm-state-size"]) == ("a", "1", 0)
    why = "Snapshot with id 'null' and name 'a' does not exist on device 'n0'"
    assert refusal(client, "blockdev-snapshot-delete-internal-sync", device="n0", name="a") == why


def test_a_commit_ends_at_the_base_that_it_began_with(emulator: Emulator) -> None:
    """Though another image has come below that meanwhile."""
    client = start(emulator)
    client.ask("blockdev-snapshot-sync", node_name="n0", snapshot_file="o.qcow2", snapshot_node_name="o")
    image("create", "-q", "-f", "qcow2", "below.qcow2", "8M")
    file = {"driver": "file", "filename": "below.qcow2"}
    client.ask("blockdev-add", driver="qcow2", node_name="below", file=file)
    client.put("block-commit", device="o", job_id="j")
    told(client, "BLOCK_JOB_READY")
    client.put("blockdev-snapshot", node="below", overlay="n0")
    told(client, "ready")
    client.put("job-complete", id="j")
    told(client, "null")
    assert (drive(client)["node-name"], drive(client)["backing_file"]) == ("n0", "below.qcow2")


def test_names_that_were_made_stay(emulator: Emulator) -> None:
    """Also when the first real work begins, which may be about what has such a name; events and errors tell of it."""
    image("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "over.qcow2")
    disk = DISK.replace("disk.qcow2", "over.qcow2")
    words = ("-machine", "q35", "-m", "64", "-S", "-blockdev", disk, "-device", "virtio-blk-pci,drive=n0")
    client = emulator.start(*words).client()

    def names() -> list[str]:
        return [each["node-name"] for each in client.ask("query-named-block-nodes")["return"]]

    before = names()
    assert [each[:6] for each in before] == ["#block", "#block", "n0", "f0"]
    why = f"Node '{before[0]}' is busy: node is used as backing hd of 'n0'"
    assert refusal(client, "blockdev-del", node_name=before[0]) == why
    client.put("block-commit", device="n0", base_node=before[0], job_id="j", filter_node_name="filter")
    told(client, "BLOCK_JOB_READY")
    assert names() == ["filter", *before]
    client.put("job-complete", id="j")
    told(client, "null")
    assert drive(client)["node-name"] == before[0]
