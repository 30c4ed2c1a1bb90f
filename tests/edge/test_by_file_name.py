"""Media that are changed by file name, and snapshots that come with their file: on ours as on the real one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Client, Emulator

MADE_UP = re.compile(r"#block\d+")
SIZES = re.compile(r'"actual-size": \d+')


@pytest.fixture(autouse=True)
def _images(tmp_path: Path) -> None:
    subprocess.run("qemu-img create -q -f qcow2 disk.qcow2 64M".split(), check=True, cwd=tmp_path)
    (tmp_path / "raw.iso").write_bytes(bytes(1 << 20))


def heard(client: Client, command: str, **arguments: Any) -> list[str]:
    """Events and the reply of a command, without what differs from run to run."""
    client.put(command, **arguments)
    found: list[str] = []
    while True:
        message = client.read()
        message.pop("timestamp", None)
        found.append(SIZES.sub("", MADE_UP.sub("#block", json.dumps(message))))
        if "event" not in message:
            return found


def play(kind: str, folder: Path, words: list[str], commands: list[dict[str, Any]]) -> list[list[str]]:
    """What each command brings."""
    emulator = Emulator(kind, folder).start("-machine", "q35", "-S", *words, env={"QMPEMU_DISK": "none"})
    try:
        client = emulator.client()
        return [heard(client, **each) for each in commands]
    finally:
        emulator.kill()


def change(device: str, file: Path, **more: Any) -> dict[str, Any]:
    """blockdev-change-medium."""
    return {"command": "blockdev-change-medium", "id": device, "filename": str(file), **more}


def test_media_are_changed(tmp_path: Path) -> None:
    """Into an empty drive and a full one, with the format said or found; refusals change nothing."""
    iso, disk = tmp_path / "raw.iso", tmp_path / "disk.qcow2"
    words = ["-device", "ide-cd,id=cd", "-blockdev", f"driver=file,node-name=m,filename={iso},read-only=on"]
    words += ["-device", "virtio-scsi-pci", "-device", "scsi-cd,id=full,drive=m"]
    look = [{"command": "query-block"}, {"command": "query-named-block-nodes", "flat": True}]
    commands = [
        change("cd", tmp_path / "none"),
        change("nope", iso),
        {"command": "blockdev-change-medium", "filename": str(iso)},
        change("cd", iso),
        *look,
        change("full", disk, format="qcow2"),
        *look,
        change("full", iso, format="qcow2"),
        change("full", iso, format="nope"),
        change("full", disk, read_only_mode="read-write"),
        *look,
        change("full", iso, read_only_mode="retain", force=True),
        {"command": "eject", "id": "cd"},
        *look,
    ]
    assert play("ours", tmp_path, words, commands) == play("real", tmp_path, words, commands)


def test_a_snapshot_comes_with_its_file(tmp_path: Path) -> None:
    """The overlay is made over the node in use, alone and in a transaction; the images are sound."""
    found = []
    for kind in ("ours", "real"):
        folder = tmp_path / kind
        folder.mkdir()
        subprocess.run("qemu-img create -q -f qcow2 disk.qcow2 64M".split(), check=True, cwd=folder)
        words = ["-blockdev", f"driver=qcow2,node-name=d,file.driver=file,file.filename={folder}/disk.qcow2"]
        words += ["-device", "virtio-blk-pci,drive=d,id=disk"]
        second = {"node-name": "s1", "snapshot-node-name": "s2", "snapshot-file": f"{folder}/two.qcow2"}
        commands = [
            {"command": "blockdev-snapshot-sync", "node_name": "d", "snapshot_file": f"{folder}/one.qcow2"},
            {
                "command": "blockdev-snapshot-sync",
                "node_name": "d",
                "snapshot_file": f"{folder}/one.qcow2",
                "snapshot_node_name": "s1",
            },
            {"command": "transaction", "actions": [{"type": "blockdev-snapshot-sync", "data": second}]},
            {"command": "query-block"},
            {"command": "query-blockstats"},
        ]
        said = play(kind, folder, words, commands)
        found.append([[line.replace(str(folder), "") for line in each] for each in said])
        for name in ("one", "two"):
            subprocess.run(["qemu-img", "check", "-q", f"{name}.qcow2"], check=True, cwd=folder)
    assert found[0] == found[1]
    assert '"node-name": "s2"' in found[0][3][0]
