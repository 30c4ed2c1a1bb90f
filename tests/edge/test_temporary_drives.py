"""Drives whose image is only read (-snapshot, snapshot=on): the overlay ends with the process; ours and real."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import drive, image, told
from emulators import Emulator, say

from qmpemu.edge.new_qcow2 import empty

pytestmark = pytest.mark.usefixtures("disk_image")

MACHINE = ("-machine", "q35", "-m", "64", "-S")
DRIVE = "file=disk.qcow2,format=qcow2,if=none,id=x"
DEVICE = ("-device", "virtio-blk-pci,drive=x")
BELOW = {"driver": "qcow2", "file": {"driver": "file", "filename": "disk.qcow2"}}


def shown(client: Any) -> Any:
    """The options by which the drive's node is told of, the file's name with X for what is random."""
    return json.loads(re.sub(r"vl\.\w{6}", "vl.X", drive(client)["file"]).removeprefix("json:"))


@pytest.mark.parametrize("words", [("-drive", f"{DRIVE},snapshot=on"), ("-snapshot", "-drive", DRIVE)])
def test_what_is_written_goes_into_a_file_without_a_name(
    emulator: Emulator, words: tuple[str, ...], tmp_path: Path
) -> None:
    """The image stays as it is, and open to others."""
    before = Path("disk.qcow2").read_bytes()
    emulator.start(*MACHINE, *words, *DEVICE, env={"TMPDIR": str(tmp_path)})
    client = emulator.client()
    file = {"driver": "file", "filename": f"{tmp_path}/vl.X"}
    assert shown(client) == {"driver": "qcow2", "backing": BELOW, "file": file}
    assert not list(tmp_path.glob("vl.*"))
    rows = say(client, "query-named-block-nodes")
    assert [(row["drv"], row["ro"], row["cache"]["no-flush"]) for row in rows] == [
        *(("qcow2", False, True), ("file", False, True)),
        *(("qcow2", True, False), ("file", True, False)),
    ]
    image("compare", "-q", "disk.qcow2", "disk.qcow2")
    client.put("drive-backup", device="x", target="b.qcow2", sync="full", job_id="j")
    told(client, "null")
    assert shown(client)["backing"] == BELOW
    emulator.kill()
    if emulator.kind == "ours":  # the real one takes the copy's file away, as if it were the overlay's
        image("compare", "-q", "b.qcow2", "disk.qcow2")
    assert Path("disk.qcow2").read_bytes() == before
    assert not list(tmp_path.glob("vl.*"))


def test_a_drive_may_say_otherwise(emulator: Emulator) -> None:
    """`snapshot=off` beside -snapshot, and a node of -blockdev."""
    emulator.start(*MACHINE, "-snapshot", "-drive", f"{DRIVE},snapshot=off", *DEVICE)
    assert drive(emulator.client())["file"] == "disk.qcow2"


def test_a_drive_that_is_added(emulator: Emulator) -> None:
    """By the human monitor; it goes with its overlay."""
    emulator.start(*MACHINE)
    client = emulator.client()
    line = f"drive_add 0 {DRIVE},snapshot=on"
    assert say(client, "human-monitor-command", command_line=line) == "OK\r\n"
    assert len(say(client, "query-named-block-nodes")) == 4
    say(client, "human-monitor-command", command_line="drive_del x")
    assert say(client, "query-named-block-nodes") == []


def test_a_folder_that_is_not_there(emulator: Emulator) -> None:
    """Nothing starts."""
    emulator.start(*MACHINE, "-drive", f"{DRIVE},snapshot=on", env={"TMPDIR": "/nonexistent"})
    status, said = emulator.finish()
    text = f"-drive {DRIVE},snapshot=on: Could not open temporary file '/nonexistent/vl.X': No such file or directory"
    assert (status, re.sub(r"vl\.\w{6}", "vl.X", said)) == (1, f"qemu-system-x86_64: {text}\n")


def test_a_guest_leaves_nothing_on_it(emulator: Emulator) -> None:
    """Neither beside the image nor in it; not even snapshots."""
    emulator.start(*MACHINE, "-drive", f"{DRIVE},snapshot=on", *DEVICE, env={"QMPEMU_SPEED": "600x"})
    client = emulator.client()
    for line in ("savevm a", "loadvm a"):
        assert say(client, "human-monitor-command", command_line=line) == ""
    client.put("quit")
    emulator.finish()
    assert image("snapshot", "-l", "disk.qcow2") == ""
    assert sorted(each.name for each in Path.cwd().glob("disk*")) == ["disk.qcow2"]


@pytest.mark.parametrize("size", [512, 1 << 20, 1 << 30, 9 << 40])
def test_an_empty_image(size: int, tmp_path: Path) -> None:
    """As qemu-img sees it."""
    path = tmp_path / "empty.qcow2"
    path.write_bytes(empty(size))
    image("check", "-q", str(path))
    assert json.loads(image("info", "--output=json", str(path)))["virtual-size"] == size
    subprocess.run(["qemu-io", "-c", f"write -q {size - 512} 512", str(path)], check=True)
    image("check", "-q", str(path))
