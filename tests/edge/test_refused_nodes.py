"""Nodes that are not opened: names that are taken, backing files that cannot be, old encryption; ours and real."""

from __future__ import annotations

import subprocess
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


FLAWS: list[tuple[dict[int, int], str, str | None]] = [
    ({7: 4}, "Unsupported qcow2 version 4", None),
    ({23: 30}, "Unsupported cluster size: 2^30", None),
    ({103: 1}, "qcow2 header too short", None),
    ({12: 255}, "Invalid backing file offset", None),
    ({72: 128, 79: 2}, "Unsupported qcow2 feature(s): Unknown incompatible feature: 8000000000000000", None),
    ({78: 1}, "Unsupported qcow2 feature(s): Unknown incompatible feature: 100", None),
    ({79: 2}, "qcow2: Image is corrupt; cannot be opened read/write", ""),
    (
        {79: 2, 47: 1},
        "qcow2: Image is corrupt; cannot be opened read/write",
        "Active L1 table offset invalid",
    ),
    ({99: 7}, "Reference count entry width too large; may not exceed 64 bits", None),
    ({55: 1, 47: 1}, "Reference count table offset invalid", None),
    ({35: 3}, "Unsupported encryption method 3", None),
    ({47: 1}, "Active L1 table offset invalid", None),
]
"""Bytes of a header by their places, what is said of it, and what to one that only reads where that is not the same."""


@pytest.mark.parametrize(("bytes_at", "text", "to_a_reader"), FLAWS)
def test_a_header_that_is_wrong(
    emulator: Emulator, bytes_at: dict[int, int], text: str, to_a_reader: str | None
) -> None:
    """The same is said at a start and at run time."""
    image("create", "-q", "-f", "qcow2", "wrong.qcow2", "8M")
    with open("wrong.qcow2", "r+b") as file:
        for at, value in bytes_at.items():
            file.seek(at)
            file.write(bytes([value]))
    words = "driver=qcow2,node-name=a,file.driver=file,file.filename=wrong.qcow2"
    emulator.start("-blockdev", words)
    assert emulator.finish() == (1, f"qemu-system-x86_64: -blockdev {words}: {text}\n")
    client = start(emulator)
    assert add(client, "wrong.qcow2") == text
    expected = {"": {}, None: text}.get(to_a_reader, to_a_reader)
    assert add(client, "wrong.qcow2", read_only=True) == expected


def test_a_data_file_that_is_missing(emulator: Emulator) -> None:
    """Another one that is given stands in for it."""
    image("create", "-q", "-f", "qcow2", "-o", "data_file=no.raw", "parted.qcow2", "8M")
    Path("no.raw").rename("there.raw")
    client = start(emulator)
    assert add(client, "parted.qcow2") == "Could not open 'no.raw': No such file or directory"
    assert add(client, "parted.qcow2", data_file={"driver": "file", "filename": "there.raw"}) == {}


def test_a_key_that_is_missing(emulator: Emulator) -> None:
    """Of an image that is encrypted as today."""
    client = start(emulator)
    luks = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
    make = ["qemu-img", "create", "-qf", "qcow2", "--object", "secret,id=s,data=pass", "-o", luks]
    for _ in range(300):  # it gives up where the processor's clock has not moved
        if not subprocess.run(
            [*make, "locked.qcow2", "8M"], check=False, stderr=subprocess.DEVNULL
        ).returncode:
            break
    assert add(client, "locked.qcow2") == "Parameter 'encrypt.key-secret' is required for cipher"
    say(client, "object-add", qom_type="secret", id="s", data="pass")
    assert add(client, "locked.qcow2", encrypt={"format": "luks", "key-secret": "s"}) == {}
