"""Nodes that are not opened: names that are taken, backing files that cannot be, old encryption; ours and real."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import DISK, drive, image, start
from emulators import Emulator, say

pytestmark = pytest.mark.usefixtures("disk_image")

OLD = "Use of AES-CBC encrypted qcow2 images is no longer supported in system emulators"
HINT = (
    "You can use 'qemu-img convert' to convert your image to an alternative supported format, such as unencrypted "
    "qcow2, or raw with the LUKS format instead."
)
BELOW = "Could not open backing file: "


def encrypt(path: str) -> None:
    """Let the header say so."""
    with open(path, "r+b") as file:
        file.seek(32)
        file.write((1).to_bytes(4, "big"))


def add(client: Any, path: str, **more: object) -> Any:
    """What is said of a new node `a` over an image."""
    file = {"driver": "file", "filename": path}
    return say(client, "blockdev-add", **{"driver": "qcow2", "node_name": "a", "file": file, **more})


def test_a_start_with_old_encryption(emulator: Emulator) -> None:
    """Is refused with a way out, whatever secret is given."""
    encrypt("disk.qcow2")
    words = f"{DISK},encrypt.format=aes,encrypt.key-secret=s"
    emulator.start("-object", "secret,id=s,data=x", "-blockdev", words)
    assert emulator.finish() == (1, f"qemu-system-x86_64: -blockdev {words}: {OLD}\n{HINT}\n")


@pytest.mark.parametrize("warm", [False, True])
def test_old_encryption_later(emulator: Emulator, warm: bool) -> None:
    """By itself, below another image, as a drive, as an overlay and as a target."""
    client = start(emulator)
    if warm:
        say(client, "block-dirty-bitmap-add", node="n0", name="b")
    image("create", "-q", "-f", "qcow2", "old.qcow2", "8M")
    image("create", "-q", "-f", "qcow2", "-b", "old.qcow2", "-F", "qcow2", "over.qcow2")
    encrypt("old.qcow2")
    say(client, "object-add", qom_type="secret", id="s", data="x")
    assert add(client, "old.qcow2") == OLD
    assert add(client, "old.qcow2", encrypt={"format": "aes", "key-secret": "s"}) == OLD
    assert add(client, "over.qcow2") == BELOW + OLD
    given = {"command_line": "drive_add 0 if=none,id=x,file=old.qcow2,format=qcow2"}
    assert say(client, "human-monitor-command", **given) == f"{OLD}\r\n{HINT}\r\n"
    overlay = {"node_name": "n0", "snapshot_node_name": "o", "snapshot_file": "old.qcow2"}
    assert say(client, "blockdev-snapshot-sync", **overlay, mode="existing") == OLD
    copy = {"device": "n0", "target": "old.qcow2", "sync": "full", "mode": "existing", "job_id": "j"}
    assert say(client, "drive-mirror", **copy) == OLD
    assert say(client, "drive-backup", **copy) == OLD
    assert drive(client)["node-name"] == "n0"


@pytest.mark.parametrize("warm", [False, True])
def test_a_backing_file_that_cannot_be_opened(emulator: Emulator, warm: bool) -> None:
    """Each layer says so of the one below it."""
    client = start(emulator)
    if warm:
        say(client, "block-dirty-bitmap-add", node="n0", name="b")
    image("create", "-q", "-f", "qcow2", "-u", "-b", "no.qcow2", "-F", "qcow2", "one.qcow2", "8M")
    image("create", "-q", "-f", "qcow2", "-u", "-b", "one.qcow2", "-F", "qcow2", "two.qcow2", "8M")
    missing = "Could not open 'no.qcow2': No such file or directory"
    assert add(client, "one.qcow2") == BELOW + missing
    assert add(client, "two.qcow2") == BELOW + BELOW + missing
    assert add(client, "two.qcow2", backing="no") == f"{BELOW}Cannot find device='no' nor node-name='no'"
    assert add(client, "two.qcow2", backing=None) == {}


@pytest.mark.parametrize("warm", [False, True])
def test_names_that_cannot_be(emulator: Emulator, warm: bool) -> None:
    """Of the node and of what comes with it; what is below it is opened first."""
    drives = ("-drive", "if=none,id=d,format=qcow2,file=disk.qcow2", "-blockdev", "null-co,node-name=n")
    client = emulator.start("-machine", "q35", "-m", "64", "-S", *drives).client()
    if warm:
        say(client, "block-dirty-bitmap-add", node="n", name="b")
    image("create", "-q", "-f", "qcow2", "a.qcow2", "8M")

    def inner(name: str) -> Any:
        return add(client, "", file={"driver": "file", "filename": "a.qcow2", "node-name": name})

    assert (inner("n"), inner("a")) == tuple(f"Duplicate nodes with node-name='{name}'" for name in "na")
    assert inner("1") == "Invalid node-name: '1'"
    assert inner("d") == "node-name=d is conflicting with a device id"
    assert add(client, "a.qcow2", node_name="d") == "node-name=d is conflicting with a device id"
    assert add(client, "a.qcow2", node_name="a" * 32) == "Node name too long"
    assert add(client, "no", node_name="n") == "Could not open 'no': No such file or directory"
    assert add(client, "a.qcow2", node_name="a" * 31) == {}
    line = {"command_line": "drive_add 0 if=none,id=n"}
    why = "Device name 'n' conflicts with an existing node name\r\n"
    assert say(client, "human-monitor-command", **line) == why
