"""Who may be on a node beside whom: devices, exports, copies, other nodes; on ours and the real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import DISK, RAW, drive, image, nodes, refusal, start
from emulators import Emulator

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
