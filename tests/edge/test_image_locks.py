"""Locks on images: which bytes are locked when, who is refused, and who never is; on ours and the real one."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Client, Emulator

F_OFD_GETLK = 36
FLOCK = "@hhqqi0q"

OVERLAY = ["-blockdev", "driver=file,node-name=f,filename={}/top.qcow2"]
OVERLAY += ["-blockdev", "driver=qcow2,node-name=d,file=f"]
RAW = ["-blockdev", "driver=file,node-name=d,filename={}/raw"]
READ_ONLY = ["-blockdev", "driver=file,node-name=d,filename={}/raw,read-only=on"]
DISK = ["-device", "virtio-blk-pci,drive=d,id=disk"]
SCSI = ["-device", "virtio-scsi-pci"]

SHARED = "driver=qcow2,node-name=d,read-only=on,force-share=on,file.driver=file,file.filename={}/top.qcow2"
OVER_RAW = ["-blockdev", "driver=file,node-name=b,filename={}/raw,read-only=on", "-blockdev"]
OVER_RAW += ["driver=qcow2,node-name=d,file.driver=file,file.filename={}/over-raw.qcow2,backing=b"]

STARTS = {
    "a format": OVERLAY,
    "a disk": [*OVERLAY, *DISK],
    "a file that nobody uses": RAW,
    "a raw disk": [*RAW, *DISK],
    "a raw disk that others may write": [*RAW, "-device", "virtio-blk-pci,drive=d,share-rw=on"],
    "a raw disk that is only read": [*READ_ONLY, *DISK],
    "a CD": [*RAW, *SCSI, "-device", "scsi-cd,drive=d"],
    "a SCSI disk": [*RAW, *SCSI, "-device", "scsi-hd,drive=d"],
    "a disk whose size is fixed": [*RAW, "-device", "nvme,drive=d,serial=s"],
    "no locking": ["-blockdev", "driver=file,node-name=d,filename={}/raw,locking=off", *DISK],
    "all of it shared": ["-blockdev", SHARED],
    "over a raw file": [*OVER_RAW, *DISK],
    "a guest to come": [*OVERLAY, *DISK, "-incoming", "defer"],
}


@pytest.fixture(autouse=True)
def _images(tmp_path: Path) -> None:
    make = ["qemu-img", "create", "-q", "-f", "qcow2"]
    for words in (["base.qcow2", "8M"], ["-b", "base.qcow2", "-F", "qcow2", "top.qcow2"]):
        subprocess.run([*make, *words], check=True, cwd=tmp_path)
    (tmp_path / "raw").write_bytes(bytes(1 << 20))
    subprocess.run([*make, "-b", "raw", "-F", "raw", "over-raw.qcow2"], check=True, cwd=tmp_path)


def locked(path: Path) -> list[int]:
    """The bytes of a file that anybody holds a lock on."""
    fd = os.open(path, os.O_RDWR)
    places = [place for place in (*range(100, 105), *range(200, 205)) if _is_locked(fd, place)]
    os.close(fd)
    return places


def _is_locked(fd: int, place: int) -> bool:
    asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
    return bool(struct.unpack_from("@h", fcntl.fcntl(fd, F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)


def all_locked(folder: Path) -> dict[str, list[int]]:
    """By file."""
    return {name: locked(folder / name) for name in ("base.qcow2", "top.qcow2", "raw", "over-raw.qcow2")}


class Machines:
    """Emulators of one kind over the images of one folder."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.made: list[Emulator] = []

    def emulator(self, *words: str) -> Emulator:
        """One more, which may fail to start."""
        place = self.folder / str(len(self.made))
        place.mkdir(exist_ok=True)
        made = Emulator(self.kind, place)
        self.made.append(made)
        filled = [word.format(self.folder) for word in words]
        return made.start("-machine", "q35", "-m", "64", "-S", *filled, env={"QMPEMU_DISK": "none"})

    def client(self, *words: str) -> Client:
        """One more that starts."""
        return self.emulator(*words).client()


@pytest.fixture(params=["ours", "real"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """On both kinds."""
    made = Machines(request.param, tmp_path)
    yield made
    for each in made.made:
        each.kill()


@pytest.mark.parametrize("words", STARTS.values(), ids=STARTS.keys())
def test_the_same_bytes_are_locked(words: list[str], tmp_path: Path) -> None:
    """What a start locks, and that nothing is left of it at the end."""
    found = []
    for kind in ("ours", "real"):
        made = Machines(kind, tmp_path)
        made.client(*words)
        found.append(all_locked(tmp_path))
        made.made[0].kill()
        assert not any(all_locked(tmp_path).values())
    assert found[0] == found[1]


def test_what_comes_and_goes_at_run_time(machines: Machines, tmp_path: Path) -> None:
    """Nodes lock what they need while they are there; a medium while it is in the drive."""
    client = machines.client(*SCSI, "-device", "scsi-cd,id=cd")
    path = str(tmp_path / "raw")
    assert client.ask("blockdev-add", driver="file", node_name="m", filename=path) == {"return": {}}
    assert locked(tmp_path / "raw") == []
    did(client, "blockdev-open-tray", id="cd")
    did(client, "blockdev-insert-medium", id="cd", node_name="m")
    assert locked(tmp_path / "raw") == [100, 201, 203]
    did(client, "blockdev-remove-medium", id="cd")
    assert locked(tmp_path / "raw") == []
    file = {"driver": "file", "filename": str(tmp_path / "top.qcow2")}
    did(client, "blockdev-add", driver="qcow2", node_name="q", file=file)
    assert locked(tmp_path / "top.qcow2") == [100, 101, 103, 201, 203]
    did(client, "blockdev-del", node_name="q")
    assert not any(all_locked(tmp_path).values())


def test_no_second_writer_is_let_in(machines: Machines, tmp_path: Path) -> None:
    """At a start, at run time, of qcow2 and of raw; whoever was there goes on, and so does the one refused."""
    first = machines.client(*OVERLAY, *DISK)
    second = machines.emulator(*OVERLAY, *DISK)
    status, said = second.finish()
    assert status == 1
    assert 'Failed to get "write" lock\n' in said
    assert f"Is another process using the image [{tmp_path}/top.qcow2]?\n" in said
    third = machines.client("-device", "pcie-root-port,id=rp1", *RAW)
    file = {"driver": "file", "filename": str(tmp_path / "top.qcow2")}
    for options in ({"driver": "qcow2", "file": file}, {"driver": "qcow2", "file": file, "read-only": True}):
        wanted = "shared " if "read-only" in options else ""
        reply = third.ask("blockdev-add", node_name="q", **options)
        assert reply["error"]["desc"] == f'Failed to get {wanted}"write" lock'
    names = [each["node-name"] for each in third.ask("query-named-block-nodes")["return"]]
    assert names == ["d"]
    fourth = machines.client(*RAW, *DISK)
    reply = third.ask("device_add", driver="virtio-blk-pci", drive="d", bus="rp1")
    assert reply["error"]["desc"] == 'Failed to get "write" lock'
    assert fourth.ask("query-status")["return"]["status"] == "prelaunch"
    assert first.ask("query-status")["return"]["status"] == "prelaunch"


def test_readers_share(machines: Machines, tmp_path: Path) -> None:
    """One base under two machines; and qemu-img looks at what is shared only."""
    machines.client("-blockdev", SHARED.replace("force-share=on,", "").replace("top", "base"))
    machines.client(*OVERLAY, *DISK)
    looks = {("base.qcow2",): 0, ("top.qcow2",): 1, ("-U", "top.qcow2"): 0}
    for words, status in looks.items():
        done = subprocess.run(["qemu-img", "info", *words], cwd=tmp_path, capture_output=True, check=False)
        assert (words, done.returncode) == (words, status)


def test_a_killed_one_leaves_no_lock(machines: Machines, tmp_path: Path) -> None:
    """kill -9, and the next start has the image."""
    machines.client(*OVERLAY, *DISK)
    machines.made[0].kill()
    machines.client(*OVERLAY, *DISK)
    assert locked(tmp_path / "top.qcow2") == [100, 101, 103, 201, 203]


def test_a_migration_hands_the_image_over(machines: Machines, tmp_path: Path) -> None:
    """The destination starts while the source has the image, and has it in the end; the source cannot go on then."""
    source = machines.client(*OVERLAY, *DISK)
    destination = machines.client(*OVERLAY, *DISK, "-incoming", f"unix:{tmp_path}/way")
    did(source, "migrate", uri=f"unix:{tmp_path}/way")
    wait_for(source, "query-migrate", "completed")
    wait_for(destination, "query-migrate", "completed")
    assert locked(tmp_path / "top.qcow2") == [100, 101, 103, 201, 203]
    assert destination.ask("query-status")["return"]["status"] == "prelaunch"
    assert source.ask("cont")["error"]["desc"] == 'Failed to get "write" lock'
    destination.put("quit")
    machines.made[1].finish()
    assert source.ask("query-status")["return"]["status"] == "postmigrate"
    source.put("cont")
    assert source.story("return")[-1] == "return"
    assert locked(tmp_path / "top.qcow2") == [100, 101, 103, 201, 203]


def test_a_guest_that_comes_to_an_image_in_use_stands_still(machines: Machines, tmp_path: Path) -> None:
    """It is there, and its first cont says why it cannot go on."""
    source = machines.client()
    destination = machines.client(*OVERLAY, "-incoming", f"unix:{tmp_path}/way")
    other = machines.client(*OVERLAY, *DISK)
    did(source, "migrate", uri=f"unix:{tmp_path}/way")
    wait_for(destination, "query-migrate", "completed")
    assert destination.ask("cont")["error"]["desc"] == 'Failed to get "write" lock'
    other.put("quit")
    machines.made[2].finish()
    destination.put("cont")
    assert destination.story("return")[-1] == "return"


def did(client: Client, command: str, **arguments: Any) -> None:
    """Send a command that succeeds, whatever events come before its reply."""
    client.put(command, **arguments)
    assert client.story("return")[-1] == "return"


def wait_for(client: Client, query: str, status: str) -> None:
    """Ask until it says so."""
    while True:
        client.put(query)
        reply = client.read()
        while "event" in reply:
            reply = client.read()
        if reply["return"].get("status") == status:
            return
        assert reply["return"].get("status") != "failed", reply
