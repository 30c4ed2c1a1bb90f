"""`commit` of the human monitor: an overlay's data into the image below it; ours and the real one, and qemu-img."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import drive, image, told
from emulators import Emulator, say

pytestmark = pytest.mark.usefixtures("disk_image")

MACHINE = ("-machine", "q35", "-m", "64", "-S")
DEVICE = ("-device", "virtio-blk-pci,drive=x")


def start(emulator: Emulator, more: str = "", device: tuple[str, ...] = DEVICE) -> Any:
    """A client of a machine with a drive `x` on an overlay that holds 1 MiB of its own."""
    image("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "over.qcow2")
    subprocess.run(["qemu-io", "-c", "write -q -P 9 2M 1M", "over.qcow2"], check=True)
    emulator.start(*MACHINE, "-drive", f"file=over.qcow2,format=qcow2,if=none,id=x{more}", *device)
    return emulator.client()


def commit(client: Any, name: str) -> str:
    return str(say(client, "human-monitor-command", command_line=f"commit {name}"))


def own(path: str) -> int:
    """How many parts of an image are its own."""
    return sum(
        part["depth"] == 0 and part["present"] for part in json.loads(image("map", "--output=json", path))
    )


@pytest.mark.parametrize("name", ["x", "all"])
@pytest.mark.parametrize("opened", [False, True])
def test_an_overlays_data_goes_into_its_base(emulator: Emulator, name: str, opened: bool) -> None:
    """The drive stays on the overlay, which is empty; the same when the real block layer has them open."""
    client = start(emulator)
    if opened:
        say(client, "blockdev-add", driver="null-co", node_name="n", size=1 << 20)
        say(client, "blockdev-mirror", device="n", target="n", sync="full", job_id="j")
    shown = drive(client)
    assert commit(client, name) == ""
    assert (drive(client)["file"], drive(client)["ro"]) == (shown["file"], shown["ro"])
    emulator.kill()
    subprocess.run(["qemu-io", "-r", "-c", "read -q -P 9 2M 1M", "disk.qcow2"], check=True)
    assert own("over.qcow2") == 0
    image("check", "-q", "over.qcow2")


def test_what_cannot_be_committed(emulator: Emulator) -> None:
    """Nothing happens."""
    client = start(emulator, ",readonly=on")
    assert commit(client, "y") == "Device 'y' not found\r\n"
    for name in ("x", "all"):
        text = f"Block node is read-only\r\n'commit' error for '{name}': Operation not permitted\r\n"
        assert commit(client, name) == text
    emulator.kill()
    assert own("over.qcow2") == 1


def test_a_drive_without_a_backing_file(emulator: Emulator) -> None:
    """By its name it is refused, among all it is passed over."""
    emulator.start(*MACHINE, "-drive", "file=disk.qcow2,format=qcow2,if=none,id=x", *DEVICE)
    client = emulator.client()
    assert commit(client, "x") == "'commit' error for 'x': Operation not supported\r\n"
    assert commit(client, "all") == ""


def test_what_would_be_lost_is_refused(ours: Emulator) -> None:
    """The images are let go of meanwhile: jobs, exports and bitmaps in memory would be gone."""
    client = start(ours)
    say(client, "block-dirty-bitmap-add", node=drive(client)["node-name"], name="b")
    text = "bitmaps that are not kept in an image would be lost: remove them first"
    assert commit(client, "x") == f"'commit' error for 'x': {text}\r\n"
    say(client, "block-dirty-bitmap-remove", node=drive(client)["node-name"], name="b")
    client.put("drive-backup", device="x", target="b.qcow2", sync="none", job_id="j")
    told(client, "running")
    assert (
        commit(client, "all")
        == "'commit' error for 'all': block jobs or exports use the disks: end them first\r\n"
    )
    say(client, "block-job-cancel", device="j", force=True)
