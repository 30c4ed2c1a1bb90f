"""Drives that have a name (-drive, drive_add): what names them, on ours as on the real one."""

from __future__ import annotations

import json
import re
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import PATIENCE_S, Client, Emulator, say

if TYPE_CHECKING:
    from pathlib import Path

MADE_UP = re.compile(r"#block\d+")
SIZES = re.compile(r'"actual-size": \d+')


@pytest.fixture(autouse=True)
def _images(tmp_path: Path) -> None:
    for name in ("disk.qcow2", "other.qcow2"):
        subprocess.run(f"qemu-img create -q -f qcow2 {name} 64M".split(), check=True, cwd=tmp_path)
    (tmp_path / "raw.iso").write_bytes(bytes(1 << 20))


def plain(message: dict[str, Any]) -> str:
    """A message without what differs from run to run."""
    message.pop("timestamp", None)
    return SIZES.sub("", MADE_UP.sub("#block", json.dumps(message)))


def heard(client: Client, command: str, **arguments: Any) -> list[str]:
    """Events and the reply of a command."""
    client.put(command, **arguments)
    found = []
    while True:
        message = client.read()
        found.append(plain(message))
        if "event" not in message:
            return found


def over(client: Client, job: str) -> list[str]:
    """What comes until a job that was begun is gone, its own steps in their order, and the reply."""
    found, waits = [], {"gone", "reply"}
    while waits:
        message = client.read()
        if "event" not in message:
            waits.discard("reply")
            assert message == {"return": {}}
            continue
        assert message["data"].get("id", message["data"].get("device")) == job
        if message["data"].get("status") == "null":
            waits.discard("gone")
        found.append(plain(message))
    return found


def line(verb: str) -> dict[str, str]:
    """A line of the human monitor."""
    return {"command": "human-monitor-command", "command_line": verb}


def both(folder: Path, words: list[str], asked: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """What each command brings, of ours and of the real one."""
    return played("ours", folder, words, asked), played("real", folder, words, asked)


def played(kind: str, folder: Path, words: list[str], asked: list[dict[str, Any]]) -> list[Any]:
    """What each command brings."""
    emulator = Emulator(kind, folder).start("-S", *words, env={"QMPEMU_DISK": "none"}, cwd=folder)
    try:
        client = emulator.client()
        return [heard(client, **each) for each in asked]
    finally:
        emulator.kill()


def test_media_of_named_drives(tmp_path: Path) -> None:
    """Trays move with the drive's name, one without a device has none; a limit is in a group of that name."""
    words = "-cdrom raw.iso -hda disk.qcow2 -drive if=none,id=free,file=other.qcow2 -drive if=floppy".split()
    change = {"command": "blockdev-change-medium", "filename": "raw.iso", "format": "raw"}
    asked: list[dict[str, Any]] = [
        *(
            {"command": "eject", "device": name}
            for name in ("ide1-cd0", "ide0-hd0", "nope", "floppy0", "free")
        ),
        {"command": "query-named-block-nodes", "flat": True},
        *({**change, "device": name} for name in ("ide1-cd0", "ide0-hd0", "free", "nope")),
        {"command": "blockdev-open-tray", "device": "ide1-cd0"},
        {"command": "blockdev-close-tray", "device": "ide1-cd0"},
        line("block_set_io_throttle ide0-hd0 1000000 0 0 0 0 0"),
        line("info block ide0-hd0"),
        line("eject ide1-cd0"),
        line("change ide1-cd0 raw.iso raw"),
        line("info block"),
        {"command": "query-block"},
        {"command": "query-blockstats"},
    ]
    ours, real = both(tmp_path, words, asked)
    assert ours == real


def test_drives_by_protocol(tmp_path: Path) -> None:
    """NBD in each of its spellings, a folder as a disk, a null device, and a node in JSON."""
    (tmp_path / "folder").mkdir()
    json_node = '{"driver":"qcow2",,"file":{"driver":"file",,"filename":"disk.qcow2"}}'
    words = [
        *("-drive", f"file=nbd+unix:///e?socket={tmp_path}/nbd.sock,if=none,format=raw"),
        *("-drive", f"file=nbd:unix:{tmp_path}/nbd.sock:exportname=e,if=none,format=raw,readonly=on"),
        *("-drive", "file=fat:folder,if=none,format=raw,readonly=on", "-drive", "file=null-co://,if=none"),
        *("-drive", f"file=json:{json_node},if=none"),
    ]
    serve = f"qemu-nbd -t -e 9 -k {tmp_path}/nbd.sock -x e -f raw raw.iso"
    with subprocess.Popen(serve.split(), cwd=tmp_path) as server:
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "nbd.sock").exists():
            assert time.monotonic() < deadline
            select.select([], [], [], 0.005)  # it is starting: there is nothing to wait on but its socket
        ours, real = both(tmp_path, words, [{"command": "query-block"}])
        server.kill()
    assert ours == real


def test_drives_come_and_go(tmp_path: Path) -> None:
    """drive_add makes one for a device; drive_del leaves the device without any; unplugged, a drive and its file go."""
    words = "-machine q35 -drive file=disk.qcow2,if=virtio,id=v0".split()
    asked = [
        line("drive_add 0 if=none,id=new,file=other.qcow2"),
        line("drive_add 0 if=none,id=new,file=other.qcow2"),
        line("drive_add 0 if=none,id=again,file=other.qcow2"),
        line("device_add scsi-hd,drive=new"),
        line("device_add virtio-scsi-pci,id=s"),
        line("device_add scsi-hd,drive=new,id=d"),
        line("device_add scsi-hd,drive=new"),
        {"command": "query-block"},
        line("drive_del v0"),
        line("drive_del v0"),
        line("info block"),
    ]
    ours, real = both(tmp_path, words, asked)
    assert ours == real


def test_jobs_of_named_drives(emulator: Emulator, tmp_path: Path) -> None:
    """A job has the drive's name; the drive goes over to the overlay that a snapshot has made."""
    words = "-S -machine q35 -drive file=disk.qcow2,if=virtio,id=v0".split()
    client = emulator.start(*words, env={"QMPEMU_DISK": "none"}, cwd=tmp_path).client()

    def medium() -> tuple[str, int]:
        drive = client.ask("query-block")["return"][0]
        assert drive["device"] == "v0"
        return drive["inserted"]["file"], drive["inserted"]["backing_file_depth"]

    assert client.ask("block_resize", device="v0", size=128 << 20) == {"return": {}}
    assert client.ask("blockdev-snapshot-sync", device="v0", snapshot_file="one.qcow2") == {"return": {}}
    assert medium() == ("one.qcow2", 1)
    client.put("block-stream", device="v0")
    assert any('"BLOCK_JOB_COMPLETED"' in each and '"type": "stream"' in each for each in over(client, "v0"))
    assert medium() == ("one.qcow2", 0)
    action = {"type": "blockdev-snapshot-sync", "data": {"device": "v0", "snapshot-file": "two.qcow2"}}
    assert client.ask("transaction", actions=[action]) == {"return": {}}
    assert medium() == ("two.qcow2", 1)
    client.put("drive-backup", device="v0", target="copy.qcow2", sync="top")
    assert any('"type": "backup"' in each for each in over(client, "v0"))
    bitmap = {"node": "v0", "name": "b"}
    assert client.ask("block-dirty-bitmap-add", **bitmap) == {"return": {}}
    refused = client.ask("block-dirty-bitmap-add", **bitmap)
    assert refused["error"]["desc"] == "Bitmap already exists: b"


def test_parts_of_files(tmp_path: Path) -> None:
    """A raw drive shows a part of its file, as Proxmox has it of a firmware's variables, and is told of by it."""
    node = {
        "driver": "raw",
        "node-name": "r",
        "offset": 1024,
        "file": {"driver": "file", "filename": "raw.iso"},
    }
    words = ["-drive", "file=raw.iso,format=raw,size=540672,if=none,id=vars", "-machine", "q35"]
    asked: list[dict[str, Any]] = [
        {"command": "query-block"},
        {"command": "query-named-block-nodes", "flat": True},
        line("info block"),
        {"command": "blockdev-add", **node, "size": 2 << 20, "read-only": True},
        {"command": "blockdev-add", **node, "size": 1000, "read-only": True},
        {"command": "blockdev-add", **node, "offset": 2 << 20, "read-only": True},
    ]
    ours, real = both(tmp_path, words, asked)
    assert ours == real


def await_status(client: Client, status: str) -> None:
    """A job's, and the reply to what brought it there."""
    left = {"status", "reply"}
    while left:
        message = client.read()
        assert "error" not in message
        if "return" in message:
            left.discard("reply")
        elif message["data"].get("status") == status:
            left.discard("status")


@pytest.mark.parametrize("kind", ["ours", "real"])
def test_a_disk_goes_over_to_the_base_that_came_with_it(tmp_path: Path, kind: str) -> None:
    """Its overlay's file is let go of, the base is kept; a further overlay is made and committed alike."""
    image = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "over.qcow2"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "disk.qcow2", "8M"], cwd=tmp_path, check=True)
    subprocess.run(image, cwd=tmp_path, check=True)
    emulator = Emulator(kind, tmp_path).start(
        *("-S", "-drive", "if=virtio,file=over.qcow2,id=v"), env={"QMPEMU_DISK": "none"}, cwd=tmp_path
    )
    try:
        client = emulator.client()
        for name in ("", "again.qcow2"):
            if name:
                say(client, "blockdev-snapshot-sync", device="v", snapshot_file=name)
            client.put("block-commit", device="v")
            await_status(client, "ready")
            client.put("block-job-complete", device="v")
            await_status(client, "null")
            (shown,) = [each for each in say(client, "query-block") if each["device"] == "v"]
            assert (shown["inserted"]["file"], shown["inserted"]["ro"]) == ("disk.qcow2", False)
    finally:
        emulator.kill()


@pytest.mark.parametrize("kind", ["ours", "real"])
def test_a_drive_that_a_job_works_on_is_told_by_its_name(tmp_path: Path, kind: str) -> None:
    """So is one whose snapshots are asked for."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "disk.qcow2", "8M"], cwd=tmp_path, check=True)
    emulator = Emulator(kind, tmp_path).start(
        *("-S", "-drive", "if=virtio,file=disk.qcow2,id=v"), env={"QMPEMU_DISK": "none"}, cwd=tmp_path
    )
    try:
        client = emulator.client()
        why = say(client, "blockdev-snapshot-delete-internal-sync", device="v", name="s")
        assert why == "Snapshot with id 'null' and name 's' does not exist on device 'v'"
        client.put("drive-mirror", device="v", target="copy.qcow2", sync="full")
        await_status(client, "ready")
        busy = "Node 'v' is busy: block device is in use by block job: mirror"
        assert say(client, "blockdev-snapshot-sync", device="v", snapshot_file="o.qcow2") == busy
        assert say(client, "block-dirty-bitmap-add", node="v", name="b") == {}
        assert say(client, "block_resize", device="v", size=16 << 20) == "Device 'v' is in use"
    finally:
        emulator.kill()


@pytest.mark.parametrize("kind", ["ours", "real"])
def test_a_second_drive_of_a_file_is_told_whose_it_may_be(tmp_path: Path, kind: str) -> None:
    """By the human monitor, also when the real block layer is there already."""
    for name in ("disk", "other"):
        image = ["qemu-img", "create", "-q", "-f", "qcow2", f"{name}.qcow2", "8M"]
        subprocess.run(image, cwd=tmp_path, check=True)
    emulator = Emulator(kind, tmp_path).start(
        *("-S", "-drive", "if=virtio,file=disk.qcow2,id=v"), env={"QMPEMU_DISK": "none"}, cwd=tmp_path
    )
    try:
        client = emulator.client()
        assert say(client, "block-dirty-bitmap-add", node="v", name="b") == {}
        add = "drive_add 0 if=none,format=qcow2,file=other.qcow2,id="
        assert say(client, **line(f"{add}one")) == "OK\r\n"
        told = 'Failed to get "write" lock\r\nIs another process using the image [other.qcow2]?\r\n'
        assert say(client, **line(f"{add}two")) == told
    finally:
        emulator.kill()
