"""Devices, media and snapshots while a job works on their disk: what is refused, what pauses; ours and the real one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import drive, image, told
from emulators import Emulator, say

pytestmark = pytest.mark.usefixtures("disk_image")

BOARD = ("-machine", "q35", "-m", "64", "-S", "-device", "virtio-scsi-pci,id=sc")
DISK = ("-blockdev", "driver=qcow2,node-name=n0,file.driver=file,file.filename=disk.qcow2")
PAUSE = ["standby", "ready"]


def start(emulator: Emulator, *words: str) -> Any:
    """A client of a machine with a SCSI bus."""
    return emulator.start(*BOARD, *DISK, *words).client()


def mirror(client: Any, **more: object) -> None:
    """Begin a copy of `n0`, and wait until it is ready."""
    say(client, "blockdev-add", driver="null-co", node_name="t", size=8 << 20)
    client.put("blockdev-mirror", device="n0", target="t", sync="full", job_id="j", **more)
    told(client, "BLOCK_JOB_READY")


def heard(client: Any, command: str, **arguments: object) -> tuple[list[str], Any]:
    """States of jobs and events that come before a reply, and the reply or why not."""
    client.put(command, **arguments)
    words = []
    while "event" in (message := client.read()):
        words.append(message["data"].get("status", message["event"]))
    return words, message["return"] if "return" in message else message["error"]["desc"]


def filter_of(client: Any) -> str:
    """The node that the job has put over the disk: the newest."""
    return str(say(client, "query-named-block-nodes")[0]["node-name"])


def conflict(node: str, writer: str, other: str) -> str:
    both = f"permissions 'write' are both required by {writer} and unshared by {other}."
    return f"Permission conflict on node '{node}': {both}"


def used(by: str, node: str, child: str = "root") -> str:
    return f"{by} (uses node '{node}' as '{child}' child)"


def test_a_second_device_on_a_disk_that_is_copied(emulator: Emulator) -> None:
    """The copy's filter stands against it; the job pauses as it comes, and as it goes."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    mirror(client)
    device, other = used("block device 'x'", "n0"), used(f"node '{filter_of(client)}'", "n0", "backing")
    given = {"driver": "scsi-hd", "drive": "n0", "id": "x", "bus": "sc.0"}
    assert heard(client, "device_add", **given) == (PAUSE * 2, conflict("n0", other, device))
    assert heard(client, "device_add", **given, share_rw=True) == (PAUSE * 2, conflict("n0", device, other))
    unnamed, device = used("an unnamed block device", "t"), used("block device 'x'", "t")
    assert heard(client, "device_add", **{**given, "drive": "t"}) == (
        PAUSE * 2,
        conflict("t", unnamed, device),
    )


def test_only_jobs_of_the_disk_pause(emulator: Emulator) -> None:
    """Others go on: of two copies the one whose disk or target a device comes to, or leaves, pauses."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    mirror(client)
    say(client, "blockdev-add", driver="null-co", node_name="a", size=1 << 20)
    say(client, "blockdev-add", driver="null-co", node_name="b", size=1 << 20)
    client.put("blockdev-mirror", device="a", target="b", sync="full", job_id="k")
    told(client, "BLOCK_JOB_READY")
    for drive_of, job, pauses in (("n0", "j", 2), ("t", "j", 2), ("a", "k", 4), ("b", "k", 2)):
        given = {"driver": "scsi-hd", "drive": drive_of, "id": "x", "bus": "sc.0"}
        client.put("device_add", **given)
        heard_of = [client.read() for _ in range(2 * pauses + 1)]
        assert "error" in heard_of.pop()
        assert [each["data"]["id"] for each in heard_of] == [job] * 2 * pauses
    assert heard(client, "device_del", id="d0") == (PAUSE, {})


def test_the_target_that_a_job_has_opened(emulator: Emulator) -> None:
    """Nobody can have it; a snapshot of the machine counts it in."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    given = {"target": "copy.raw", "format": "raw", "sync": "full"}
    client.put("drive-mirror", device="n0", node_name="copy", job_id="j", **given)
    told(client, "BLOCK_JOB_READY")
    unnamed, device = used("an unnamed block device", "copy"), used("block device 'x'", "copy")
    given = {"driver": "scsi-hd", "drive": "copy", "id": "x", "bus": "sc.0"}
    assert heard(client, "device_add", **given) == (PAUSE * 2, conflict("copy", unnamed, device))
    why = "Error: Device 'copy' is writable but does not support snapshots\r\n"
    assert heard(client, "human-monitor-command", command_line="savevm x") == ([], why)
    client.put("job-cancel", id="j")
    told(client, "null")
    gone = "Property 'scsi-hd.drive' can't find value 'copy'"
    assert heard(client, "device_add", **given) == ([], gone)


def test_a_device_on_the_target_of_a_backup(emulator: Emulator) -> None:
    """virtio-scsi does not take what a job works on, whatever is shared."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    say(client, "blockdev-add", driver="null-co", node_name="t", size=8 << 20)
    say(client, "blockdev-backup", device="n0", target="t", sync="none", job_id="j")
    given = {"driver": "scsi-hd", "drive": "t", "id": "x", "bus": "sc.0", "share_rw": True}
    words, why = heard(client, "device_add", **given)
    assert words == ["paused", "running"] * 4
    assert why == "Node 't' is busy: block device is in use by block job: backup"


def test_a_job_of_a_disk_that_nobody_has(emulator: Emulator) -> None:
    """virtio-scsi does not take it; virtio-blk does, and the job pauses as it comes."""
    port = ("-device", "pcie-root-port,id=r,chassis=1,slot=1")
    client = emulator.start(*BOARD, *DISK, *port).client()
    mirror(client)
    why = "Node 'n0' is busy: block device is in use by block job: mirror"
    given = {"driver": "scsi-hd", "drive": "n0", "id": "x", "bus": "sc.0"}
    assert heard(client, "device_add", **given) == (PAUSE * 4, why)
    given = {"driver": "virtio-blk-pci", "drive": "n0", "id": "y", "bus": "r"}
    assert heard(client, "device_add", **given) == (PAUSE, {})
    assert drive(client)["node-name"] == "n0"


def test_a_device_leaves_its_job(emulator: Emulator) -> None:
    """The job pauses as the device is emptied, before the reply, and twice as its drive goes; the node stays in use."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    mirror(client)
    assert heard(client, "device_del", id="d0") == (PAUSE, {})
    assert told(client_and_query(client), "DEVICE_DELETED") == [*PAUSE, *PAUSE, "DEVICE_DELETED"]
    why = "Node 'n0' is busy: block device is in use by block job: mirror"
    assert heard(client, "blockdev-del", node_name="n0") == ([], why)


def client_and_query(client: Any) -> Any:
    """The same, with a reply to come."""
    client.put("query-status")
    return client


@pytest.mark.parametrize("name", [None, "filter"])
def test_a_disc_that_is_copied_stays(emulator: Emulator, name: str | None) -> None:
    """It is not taken out; the tray opens all the same."""
    disc = ("-blockdev", f"{DISK[1]},read-only=on", "-device", "scsi-cd,drive=n0,id=cd,bus=sc.0")
    client = emulator.start(*BOARD, *disc).client()
    mirror(client, **({"filter_node_name": name} if name else {}))
    why = f"Node '{name or filter_of(client)}' is busy: block device is in use by block job: mirror"
    moved = ["DEVICE_TRAY_MOVED"]
    assert heard(client, "eject", id="cd") == (moved, why)
    assert heard(client, "blockdev-remove-medium", id="cd") == ([], why)
    there = "There already is a medium in the device"
    assert heard(client, "blockdev-insert-medium", id="cd", node_name="n0") == ([], there)
    assert drive(client)["image"]["filename"] == "disk.qcow2"
    image("create", "-q", "-f", "qcow2", "other.qcow2", "8M")
    given = {"id": "cd", "filename": "other.qcow2", "format": "qcow2"}
    assert heard(client, "blockdev-change-medium", **given) == ([], why)
    client.put("job-cancel", id="j")
    told(client, "null")
    assert heard(client, "eject", id="cd") == ([], {})


def test_a_snapshot_beside_a_copy(emulator: Emulator) -> None:
    """The copy's target, which cannot have any, comes first; a machine that stands lets its jobs pause to go back."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0", "-blockdev", "null-co,node-name=a")
    mirror(client)
    why = "Error: Device 't' is writable but does not support snapshots\r\n"
    assert heard(client, "human-monitor-command", command_line="savevm x") == ([], why)
    assert heard(client, "human-monitor-command", command_line="loadvm x") == (PAUSE, why)


def test_jobs_are_listed_with_the_newest_first(emulator: Emulator) -> None:
    """Whoever does them."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    client.put("snapshot-delete", job_id="one", tag="x", devices=["n0"])
    told(client, "concluded")
    mirror(client)
    client.put("snapshot-delete", job_id="two", tag="x", devices=["n0"])
    told(client, "concluded")
    assert [each["id"] for each in say(client, "query-jobs")] == ["two", "j", "one"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_copy_without_room(emulator: Emulator, small: Path) -> None:
    """It stands and says why, until the machine goes on; with more room it goes on, too."""
    subprocess.run(["qemu-io", "-c", "write -q -P 9 0 8M", "disk.qcow2"], check=True)
    image("create", "-q", "-f", "qcow2", "small/copy.qcow2", "8M")
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    file = {"driver": "file", "filename": "small/copy.qcow2"}
    say(client, "blockdev-add", driver="qcow2", node_name="copy", file=file)
    client.put(
        "blockdev-mirror", device="n0", target="copy", sync="full", job_id="j", on_target_error="enospc"
    )
    told(client, "paused")

    def status() -> str:
        return str(say(client, "query-block-jobs")[0]["io-status"])

    assert status() == "nospace"
    say(client, "cont")
    assert status() == "ok"
    subprocess.run(["mount", "-o", "remount,size=32M", str(small)], check=True)
    client.put("block-job-resume", device="j")
    assert told(client, "BLOCK_JOB_READY")[-1] == "BLOCK_JOB_READY"


@pytest.mark.parametrize(
    ("disks", "jobs"),
    [
        (("scsi-hd,drive=n0,id=d0,bus=sc.0", "virtio-blk-pci,drive=a,bus=r"), ["k", "j"]),
        (("virtio-blk-pci,drive=n0,id=d0,bus=r", "scsi-hd,drive=a,bus=sc.0"), ["j", "k"]),
        (("scsi-hd,drive=a,bus=sc.0", "scsi-hd,drive=n0,bus=sc.0"), ["j", "k"]),
        (("scsi-hd,drive=a,bus=sc.0",), ["k"]),
        (("ide-hd,drive=a,bus=ide.0", "scsi-hd,drive=n0,bus=sc.0"), ["j"]),
    ],
)
def test_disks_are_reset_one_after_the_other(
    emulator: Emulator, disks: tuple[str, ...], jobs: list[str]
) -> None:
    """What came last first, with what is behind it; jobs of what no device has go on, and those of IDE disks."""
    more = [word for each in disks for word in ("-device", each)]
    port = (
        "-device",
        "pcie-root-port,id=r,chassis=1,slot=1",
        "-blockdev",
        "null-co,node-name=a,size=1048576",
    )
    client = start(emulator, *port, *more)
    mirror(client)
    say(client, "blockdev-add", driver="null-co", node_name="b", size=1 << 20)
    client.put("blockdev-mirror", device="a", target="b", sync="full", job_id="k")
    told(client, "BLOCK_JOB_READY")
    client.put("system_reset")
    paused = []
    while (message := client.read()).get("event") != "RESET":
        if message.get("data", {}).get("status") == "standby":
            paused.append(message["data"]["id"])
    assert paused == jobs


def test_a_disk_leaves_its_limits(emulator: Emulator) -> None:
    """Its job pauses when it leaves a group of them, and at no other change."""
    client = start(emulator, "-device", "scsi-hd,drive=n0,id=d0,bus=sc.0")
    mirror(client)
    none = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
    for changed, words in (
        ({}, []),
        ({"bps": 1000000}, []),
        ({"bps": 2000000}, []),
        ({"bps": 2000000, "group": "g"}, PAUSE),
        ({}, PAUSE),
        ({}, []),
    ):
        client.send(
            json.dumps(
                {"execute": "block_set_io_throttle", "arguments": {"id": "d0", **none, **changed}}
            ).encode()
        )
        found = []
        while "event" in (message := client.read()):
            found.append(message["data"]["status"])
        assert (found, message) == (words, {"return": {}})
