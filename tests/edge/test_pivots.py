"""On which node a disk is, and what is below it, after snapshots, commits and migrations: ours and the real one."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import CREATED, DISK, DONE, drive, image, refusal, start, told
from emulators import Emulator, say

pytestmark = pytest.mark.usefixtures("disk_image")

MACHINE = ("-machine", "q35", "-m", "64", "-S")


def snapshot(client: Any, under: str, over: str) -> None:
    """A snapshot by a file's name."""
    say(client, "blockdev-snapshot-sync", node_name=under, snapshot_file=over, snapshot_node_name=over)


def written(client: Any) -> dict[str, bool]:
    """Nodes with names of ours, and whether they can be written."""
    rows = say(client, "query-named-block-nodes")
    return {row["node-name"]: not row["ro"] for row in rows if not row["node-name"].startswith("#")}


def migrate(client: Any) -> None:
    """The guest goes to nowhere; then the images are looked at anew."""
    say(client, "migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    client.put("migrate", uri="exec:cat>/dev/null")
    while client.read().get("data") != {"status": "completed"}:
        pass


def test_a_commit_that_is_ready_and_given_up(emulator: Emulator) -> None:
    """It ends well, the disk stays where it is, and its base can be written from then on."""
    client = start(emulator)
    snapshot(client, "n0", "o1")
    client.put("block-commit", device="o1", job_id="j")
    assert told(client, "BLOCK_JOB_READY") == [*CREATED, "ready", "BLOCK_JOB_READY"]
    client.put("block-job-cancel", device="j")
    assert told(client, "null") == DONE
    assert (drive(client)["node-name"], written(client)) == ("o1", {"o1": True, "n0": True, "f0": True})
    assert refusal(client, "blockdev-del", node_name="o1") == "Node o1 is in use"
    snapshot(client, "o1", "o2")
    assert drive(client)["backing_file"] == "o1"


def test_what_a_snapshot_is_over_is_only_read(emulator: Emulator) -> None:
    """Until it is committed into; and it stays so when the guest has gone and the images were let go."""
    client = start(emulator)
    snapshot(client, "n0", "o1")
    snapshot(client, "o1", "o2")
    below = {"o2": True, "o1": False, "n0": False, "f0": False}
    assert written(client) == below
    migrate(client)
    assert written(client) == below
    while say(client, "cont") != {}:
        pass  # the real one finishes its migration a moment after it says so
    assert written(client) == below
    client.put("block-commit", device="o2", job_id="j")
    told(client, "BLOCK_JOB_READY")
    client.put("job-complete", id="j")
    told(client, "null")
    migrate(client)
    assert (drive(client)["ro"], written(client)) == (False, {"n0": True, "f0": True})


def test_a_filter_over_a_disk_follows(emulator: Emulator) -> None:
    """A snapshot of what is below it puts the overlay there."""
    cor = ("-blockdev", "driver=copy-on-read,node-name=cor,file=n0")
    emulator.start(*MACHINE, "-blockdev", DISK, *cor, "-device", "virtio-blk-pci,drive=cor")
    client = emulator.client()
    snapshot(client, "n0", "o1")
    (row,) = say(client, "query-blockstats")
    assert (row["node-name"], row["parent"]["node-name"]) == ("cor", "o1")
    assert row["parent"]["backing"]["node-name"] == "n0"
    assert drive(client)["image"]["filename"].count("o1") == 1
    migrate(client)
    (row,) = say(client, "query-blockstats")
    assert (row["node-name"], row["parent"]["node-name"]) == ("cor", "o1")


JSON = (
    'json:{{"backing": {0}, "driver": "qcow2", "file": {{"driver": "file", "filename": "{1}/over.qcow2"}}}}'
)


@pytest.mark.parametrize("below", [None, "disk.qcow2", "other.qcow2"])
def test_a_disk_over_another_backing_file(emulator: Emulator, below: str | None, tmp_path: Path) -> None:
    """It is told of by its options; the image names its backing file from its own folder, the start in full."""
    image("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "over.qcow2")
    image("create", "-q", "-f", "qcow2", "other.qcow2", "8M")
    path = f"{tmp_path}/{below}"
    base = ("-blockdev", f"driver=qcow2,node-name=b,file.driver=file,file.filename={path}") if below else ()
    given = '{"driver": "qcow2", "file": {"driver": "file", "filename": "' + path + '"}}' if below else "null"
    file = f'{{"driver":"file","filename":"{tmp_path}/over.qcow2"}}'
    over = f'{{"driver":"qcow2","node-name":"o","backing":{dumps(below and "b")},"file":{file}}}'
    emulator.start(*MACHINE, *base, "-blockdev", over, "-device", "virtio-blk-pci,drive=o")
    shown = drive(emulator.client())
    assert shown["file"] == shown["image"]["filename"] == JSON.format(given, tmp_path)
    assert shown["image"]["backing-filename"] == "disk.qcow2"
    assert shown["image"]["full-backing-filename"] == f"{tmp_path}/disk.qcow2"
    assert shown.get("backing_file") == (path if below else None)


@pytest.mark.parametrize(
    ("device", "status"),
    [
        ("virtio-blk-pci", "ok"),
        ("virtio-blk-pci,werror=report", None),
        ("virtio-blk-pci,werror=ignore,rerror=stop", "ok"),
        ("nvme,serial=s", None),
    ],
)
def test_failures_are_kept_where_one_could_stop_the_machine(
    emulator: Emulator, device: str, status: str | None
) -> None:
    """io-status is there, or not."""
    emulator.start(*MACHINE, "-blockdev", DISK, "-device", f"{device},drive=n0")
    (row,) = say(emulator.client(), "query-block")
    assert row.get("io-status") == status


def test_snapshots_are_told_of_when_the_guest_has_gone(emulator: Emulator) -> None:
    """From the image, which nobody here has opened any more."""
    client = start(emulator)
    for name in ("first", "second"):
        say(client, "blockdev-snapshot-internal-sync", device="n0", name=name)
    before = drive(client)["image"]["snapshots"]
    migrate(client)
    after = drive(client)["image"]["snapshots"]
    assert [each["name"] for each in after] == ["first", "second"]
    assert after == before
