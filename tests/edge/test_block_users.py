"""Who may be on a node beside whom: devices, exports, copies, other nodes; on ours and the real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import DISK, RAW, drive, image, nodes, refusal, start, told
from emulators import Emulator, say

pytestmark = pytest.mark.usefixtures("disk_image")


def test_nodes_over_a_raw_disk(emulator: Emulator) -> None:
    """The first command that needs real blocks may be about the disk itself, whose file two processes would lock."""
    image("create", "-q", "-f", "raw", "disk.raw", "1M")
    emulator.start(
        "-machine", "q35", "-m", "64", "-S", "-blockdev", RAW, "-device", "virtio-blk-pci,drive=n0"
    )
    client = emulator.client()
    over = {"driver": "raw", "file": "n0", "read_only": True}
    assert client.ask("blockdev-add", **over, node_name="one") == {"return": {}}
    assert client.ask("blockdev-add", **over, node_name="two") == {"return": {}}
    assert nodes(client) == ["raw", "raw", "raw", "file"]
    assert drive(client)["node-name"] == "n0"


def test_a_node_that_a_drive_is_on_is_in_use(emulator: Emulator) -> None:
    """For the real block layer too, which knows no devices; nobody sees how."""
    client = start(emulator)
    client.ask("blockdev-add", driver="null-co", node_name="null", size=8 << 20)
    client.ask("blockdev-add", driver="throttle", node_name="t", throttle_group="g", file="null")
    for node in ("n0", "null"):
        why = refusal(client, "blockdev-snapshot", node=node, overlay="n0")
        assert why == "The overlay is already in use"
    options = {"driver": "qcow2", "node-name": "n0", "file": "f0", "read-only": True}
    why = refusal(client, "blockdev-reopen", options=[options])
    assert why == "Read-only block node 'n0' cannot support read-write users"
    assert client.ask("query-block-exports") == {"return": []}
    client.send(b'{"execute": "quit"}')
    assert [client.read().get("event"), client.read()] == ["SHUTDOWN", {"return": {}}]


def test_nobody_else_writes_to_a_disk(emulator: Emulator) -> None:
    """A device shares its node with no writer: not with an export, a copy, a format over it, another device."""
    emulator.start(
        *("-machine", "q35", "-m", "64", "-S", "-blockdev", DISK, "-device", "virtio-scsi-pci,id=s"),
        *(
            "-device",
            "scsi-hd,drive=n0,id=d",
            "-blockdev",
            "driver=null-co,node-name=null,size=8388608,read-zeroes=on",
        ),
    )
    client = emulator.client()
    client.ask("nbd-server-start", addr={"type": "unix", "data": {"path": "nbd.sock"}})
    conflict = (
        "Permission conflict on node 'n0': permissions 'write' are both required by {} and unshared by {}."
    )
    root = "(uses node 'n0' as 'root' child)"
    disk, unnamed = f"block device 'd' {root}", f"an unnamed block device {root}"
    export = {"type": "nbd", "id": "e", "node-name": "n0"}
    why = refusal(client, "block-export-add", **export, writable=True)
    assert why == conflict.format(unnamed, disk)
    copy = {"device": "null", "target": "n0", "sync": "full", "job_id": "j"}
    target = "node 'filter' (uses node 'n0' as 'target' child)"
    why = refusal(client, "blockdev-backup", **copy, filter_node_name="filter")
    assert why == f"Could not create node: {conflict.format(target, disk)}"
    other = f"block device 'other' {root}"
    why = refusal(client, "device_add", driver="scsi-hd", id="other", drive="n0", bus="s.0")
    assert why == conflict.format(disk, other)
    why = refusal(client, "device_add", driver="scsi-hd", id="other", drive="n0", bus="s.0", share_rw=True)
    assert why == conflict.format(other, disk)
    assert client.ask("block-export-add", **export) == {"return": {}}
    assert [each["id"] for each in client.ask("query-block-exports")["return"]] == ["e"]
    assert nodes(client) == ["null-co", "qcow2", "file"]


def test_a_disk_of_virtio_scsi_is_nobodys_backing_file(emulator: Emulator) -> None:
    """It may not be put on one, though both would only read."""
    emulator.start(
        *("-machine", "q35", "-m", "64", "-S", "-blockdev", DISK, "-device", "virtio-scsi-pci,id=s"),
        *("-device", "virtio-blk-pci,drive=n0"),
    )
    client = emulator.client()
    client.ask("blockdev-snapshot-sync", node_name="n0", snapshot_file="o1.qcow2", snapshot_node_name="o1")
    why = refusal(client, "device_add", driver="scsi-cd", id="d", drive="n0", bus="s.0")
    assert why == "Node 'n0' is busy: node is used as backing hd of 'o1'"
    assert len(client.ask("query-block")["return"]) == 1


def test_an_image_that_a_drive_reads_is_not_opened_for_writing(emulator: Emulator) -> None:
    """Nor while a job works, when the real block layer holds nobody off; the node below is free again."""
    for name in ("medium", "one", "two"):
        image("create", "-q", "-f", "qcow2", f"{name}.q", "1M")
    words = [f"qcow2,node-name={name},file.driver=file,file.filename={name}.q" for name in ("one", "two")]
    nodes = [word for each in words for word in ("-blockdev", each)]
    emulator.start(*nodes, "-device", "virtio-blk-pci,drive=one", "-device", "virtio-scsi-pci", "-S")
    client = emulator.client()
    client.put("blockdev-mirror", device="one", target="two", sync="full", job_id="j")
    while client.read().get("event") != "BLOCK_JOB_READY":
        pass
    file = {"driver": "file", "filename": "medium.q"}
    assert client.ask("blockdev-add", **file, node_name="below", read_only=True) == {"return": {}}
    raw = {"driver": "raw", "file": "below", "node_name": "r"}
    assert client.ask("blockdev-add", **raw, read_only=True) == {"return": {}}
    assert client.ask("device_add", driver="scsi-cd", id="cd", drive="r") == {"return": {}}
    assert client.ask("blockdev-add", **file, node_name="s", auto_read_only=True) == {"return": {}}
    why = 'Failed to get "write" lock'
    assert refusal(client, "blockdev-add", driver="qcow2", node_name="w", file="s") == why
    assert client.ask("blockdev-del", node_name="s") == {"return": {}}


KEEPS = (
    "Permission conflict on node '{0}': permissions 'resize' are both required by an unnamed block device (uses node "
    "'{0}' as 'root' child) and unshared by {1}."
)


def test_a_floppy_and_a_disc_keep_their_size(emulator: Emulator) -> None:
    """Their nodes are not resized, nor what lies below; each has its line in `info blockstats`, without a name."""
    image("create", "-q", "-f", "raw", "floppy.raw", "1440K")
    emulator.start(
        *("-machine", "pc", "-m", "64", "-S", "-device", "virtio-scsi-pci,id=s"),
        *("-blockdev", "raw,node-name=f,file.driver=file,file.filename=floppy.raw,file.node-name=below"),
        *("-device", "floppy,drive=f,id=fl"),
        *("-blockdev", DISK + ",read-only=on", "-device", "scsi-cd,drive=n0,id=cd"),
    )
    client = emulator.client()
    for node, user in (
        ("f", "block device 'fl' (uses node 'f' as 'root' child)"),
        ("below", "node 'f' (uses node 'below' as 'file' child)"),
        ("n0", "block device 'cd' (uses node 'n0' as 'root' child)"),
    ):
        assert refusal(client, "block_resize", node_name=node, size=1 << 20) == KEEPS.format(node, user)
    assert refusal(client, "block_resize", node_name="f", size=-1) == "Parameter 'size' expects a >0 size"
    lines = client.ask("human-monitor-command", command_line="info blockstats")["return"].splitlines()
    assert [line.partition(" wr")[0] for line in lines] == [": rd_bytes=0"] * 2


CONFLICT = "Permission conflict on node '{}': permissions '{}' are both required by {} and unshared by {}."
FILE = {"driver": "file", "filename": "other.qcow2"}


def used(by: str, node: str, child: str = "root") -> str:
    return f"{by} (uses node '{node}' as '{child}' child)"


def test_a_job_that_is_over_lets_nobody_write_to_a_disk(emulator: Emulator) -> None:
    """Nor does one elsewhere that runs: neither a copy nor a new image comes upon what a device has."""
    client = start(emulator)
    for node in ("one", "two", "three"):
        client.ask("blockdev-add", driver="null-co", node_name=node, size=8 << 20)
    client.put("blockdev-mirror", device="one", target="two", sync="full", job_id="run")
    told(client, "BLOCK_JOB_READY")
    client.put("blockdev-create", job_id="done", options={"driver": "qcow2", "file": "n0", "size": 8 << 20})
    told(client, "concluded")
    disk = used("block device '/machine/peripheral-anon/device[0]/virtio-backend'", "n0")
    rows = {each["id"]: each for each in client.ask("query-jobs")["return"]}
    assert rows["done"]["error"] == CONFLICT.format(
        "n0", "write", used("an unnamed block device", "n0"), disk
    )
    more = {"device": "three", "target": "n0", "sync": "full", "job_id": "more", "filter_node_name": "filter"}
    why = say(client, "blockdev-backup", **more)
    target = used("node 'filter'", "n0", "target")
    assert why == f"Could not create node: {CONFLICT.format('n0', 'write', target, disk)}"
    bitmap = {"type": "block-dirty-bitmap-add", "data": {"node": "n0", "name": "b"}}
    data = {key.replace("_", "-"): value for key, value in more.items()}
    assert say(client, "transaction", actions=[{"type": "blockdev-backup", "data": data}, bitmap]) == why


def test_a_backup_does_not_go_to_a_disk_that_is_kept_by_the_same_transaction(emulator: Emulator) -> None:
    """The disk is what it was, and so is its image."""
    client = start(emulator)
    client.ask("blockdev-add", driver="null-co", node_name="one", size=8 << 20)
    data = {"device": "one", "target": "n0", "sync": "full", "job-id": "j", "filter-node-name": "filter"}
    kept = {"type": "blockdev-snapshot-internal-sync", "data": {"device": "n0", "name": "s"}}
    disk = used("block device '/machine/peripheral-anon/device[0]/virtio-backend'", "n0")
    why = CONFLICT.format("n0", "write", used("node 'filter'", "n0", "target"), disk)
    for actions in ([kept], []):
        backup = {"type": "blockdev-backup", "data": data}
        assert say(client, "transaction", actions=[*actions, backup]) == f"Could not create node: {why}"
    assert "snapshots" not in drive(client)["image"]


def test_nobody_writes_to_what_is_below_a_snapshot(emulator: Emulator) -> None:
    """What keeps others off is the overlay, before it is asked whether it is only read."""
    client = start(emulator)
    given = {"node_name": "n0", "snapshot_file": "over.qcow2", "snapshot_node_name": "over"}
    client.ask("blockdev-snapshot-sync", **given)
    client.ask("blockdev-add", driver="null-co", node_name="one", size=8 << 20)
    why = refusal(
        client, "blockdev-backup", device="one", target="n0", sync="full", filter_node_name="filter"
    )
    asked, below = used("node 'filter'", "n0", "target"), used("node 'over'", "n0", "backing")
    assert why == f"Could not create node: {CONFLICT.format('n0', 'write', asked, below)}"


def test_a_format_over_what_is_used(emulator: Emulator) -> None:
    """It is refused, also as the first command."""
    client = start(emulator)
    mine, other = used("node 'n0'", "f0", "file"), used("node 'x'", "f0", "file")
    why = refusal(client, "blockdev-add", driver="qcow2", node_name="x", file="f0")
    assert why == CONFLICT.format("f0", "write, resize", mine, other)
    assert nodes(client) == ["qcow2", "file"]


def test_a_disk_is_nobodys_backing_file(emulator: Emulator) -> None:
    """Not of another disk that a device has: the one writes what the other takes for unchanged."""
    image("create", "-q", "-f", "qcow2", "other.qcow2", "8M")
    board = ("-machine", "q35", "-m", "64", "-S", "-device", "virtio-scsi-pci,id=s", "-blockdev", DISK)
    over = f"driver=qcow2,node-name=m,file.driver=file,file.filename={FILE['filename']},file.node-name=mf"
    disks = ("-device", "scsi-hd,drive=n0,id=d", "-blockdev", over, "-device", "scsi-hd,drive=m,id=e")
    client = emulator.start(*board, *disks).client()
    options = {"driver": "qcow2", "node-name": "m", "file": "mf", "backing": "n0"}
    why = refusal(client, "blockdev-reopen", options=[options])
    device, below = used("block device 'd'", "n0"), used("node 'm'", "n0", "backing")
    assert why == CONFLICT.format("n0", "write", device, below)


def test_a_medium_that_is_used(emulator: Emulator) -> None:
    """A drive of discs does not take a file that a disk's format writes to."""
    emulator.start("-machine", "q35", "-m", "64", "-S", "-blockdev", DISK, "-device", "ide-cd,id=cd")
    client = emulator.client()
    client.ask("block-dirty-bitmap-add", node="n0", name="b")
    client.put("blockdev-open-tray", id="cd")
    told(client, "DEVICE_TRAY_MOVED")
    why = refusal(client, "blockdev-insert-medium", id="cd", node_name="f0")
    disk, tray = used("node 'n0'", "f0", "file"), used("block device 'cd'", "f0")
    assert why == CONFLICT.format("f0", "write, resize", disk, tray)
    assert "inserted" not in client.ask("query-block")["return"][0]


def test_the_overlay_of_a_disk_that_is_only_read(emulator: Emulator) -> None:
    """It is only read, too, and stays when somebody would write to it."""
    disk = (f"{DISK},read-only=on", "-device", "virtio-blk-pci,drive=n0")
    client = emulator.start("-machine", "q35", "-m", "64", "-S", "-blockdev", *disk).client()
    given = {"node_name": "n0", "snapshot_file": "over.qcow2", "snapshot_node_name": "over"}
    assert client.ask("blockdev-snapshot-sync", **given) == {"return": {}}
    client.ask("blockdev-add", driver="null-co", node_name="one", size=8 << 20)
    own = used("block device '/machine/peripheral-anon/device[0]/virtio-backend'", "over")
    copy = used("an unnamed block device", "over")
    why = say(client, "blockdev-mirror", device="one", target="over", sync="full", job_id="j")
    assert why == CONFLICT.format("over", "consistent read", own, copy)
    assert (drive(client)["node-name"], drive(client)["ro"]) == ("over", True)


def test_a_file_that_is_only_read_any_more(emulator: Emulator) -> None:
    """By a node that was opened anew: others may read it, too."""
    client = start(emulator)
    image("create", "-q", "-f", "qcow2", "other.qcow2", "8M")
    client.ask("blockdev-add", driver="qcow2", node_name="n1", file={**FILE, "node-name": "f1"})
    options = {"driver": "qcow2", "node-name": "n1", "file": "f1"}
    again = {"driver": "qcow2", "node_name": "n2", "file": FILE, "read_only": True}
    assert refusal(client, "blockdev-add", **again) == 'Failed to get shared "write" lock'
    assert client.ask("blockdev-reopen", options=[{**options, "read-only": True}]) == {"return": {}}
    assert client.ask("blockdev-add", **again) == {"return": {}}


def test_a_third_device_on_a_disk(emulator: Emulator) -> None:
    """It is told of the newest that it cannot be beside."""
    disk = (*("-blockdev", DISK), "-device", "virtio-scsi-pci,id=s")
    shared = [("-device", f"scsi-hd,drive=n0,id={name},share-rw=on") for name in ("one", "two")]
    client = emulator.start("-machine", "q35", "-m", "64", "-S", *disk, *shared[0], *shared[1]).client()
    new, other = used("block device 'new'", "n0"), used("block device 'two'", "n0")
    given = {"id": "new", "drive": "n0", "bus": "s.0"}
    for driver in ("scsi-hd", "scsi-cd"):
        why = refusal(client, "device_add", driver=driver, **given)
        assert why == CONFLICT.format("n0", "write", other, new)
    assert client.ask("device_add", driver="scsi-hd", share_rw=True, **given) == {"return": {}}


@pytest.mark.parametrize("path", ["disk.qcow2", "disk.raw"])
def test_a_file_that_somebody_has_is_not_looked_into(emulator: Emulator, path: str) -> None:
    """Of what format it is is asked when it is there to be read."""
    image("create", "-q", "-f", "raw", "disk.raw", "1M")
    raw = RAW.replace("n0", "r0").replace("f0", "rf")
    more = ("-blockdev", raw, "-device", "virtio-blk-pci,drive=r0")
    emulator.start("-machine", "q35", "-m", "64", "-S", "-blockdev", DISK, *more)
    client = emulator.client()
    file = {"driver": "file", "filename": path}
    why = refusal(client, "blockdev-add", driver="qcow2", node_name="x", file=file)
    assert why == 'Failed to get "write" lock'
