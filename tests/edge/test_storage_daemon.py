"""The real block layer as a child: it may die, be missing, or end with the machine, and the machine loses nothing."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from tempfile import TemporaryDirectory
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import PATIENCE_S, Emulator, runs

from qmpemu.edge.storage_monitor import StorageMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

NULL = "driver=null-co,size=1099511627776,node-name="


def start(emulator: Emulator, **more: Any) -> Any:
    """A client of a machine with two large nodes."""
    emulator.start("-machine", "none", "-blockdev", f"{NULL}from", "-blockdev", f"{NULL}to", **more)
    return emulator.client()


def unread(sock: socket.socket) -> int:
    """Bytes (as the kernel counts them) that the other side has not read yet."""
    return int.from_bytes(ioctl(sock, TIOCOUTQ, bytes(4)), sys.byteorder)


def daemon(emulator: Emulator) -> int:
    """The daemon's process id; 0 where none runs."""
    assert emulator.process is not None
    tasks = Path(f"/proc/{emulator.process.pid}/task")
    children = [int(pid) for each in tasks.iterdir() for pid in (each / "children").read_text().split()]
    return children[0] if children else 0


def mirror(client: Any, **arguments: object) -> None:
    client.put(
        "blockdev-mirror", device="from", target="to", sync="full", speed=1024, job_id="m", **arguments
    )
    assert client.story("return") == ["JOB_STATUS_CHANGE", "JOB_STATUS_CHANGE", "return"]


def statuses(client: Any, last: str) -> list[str]:
    """Job states as they are told, up to `last`; other events by name."""
    told: list[str] = []
    while not told or told[-1] != last:
        message = client.read()
        told.append(message["data"].get("status", message["event"]))
    return told


def test_it_starts_with_the_first_command_that_needs_it(ours: Emulator) -> None:
    """Queries do without."""
    client = start(ours)
    client.ask("query-named-block-nodes")
    client.ask("query-jobs")
    assert daemon(ours) == 0
    mirror(client)
    assert daemon(ours) != 0


def test_a_refused_command_leaves_none_behind(ours: Emulator, tmp_path: Path) -> None:
    """The one that was made ready for it ends, and the next command has its own."""
    image = tmp_path / "old.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    with image.open("r+b") as file:
        file.seek(32)
        file.write((1).to_bytes(4, "big"))  # encrypted by AES
    client = start(ours)
    overlay = {"node_name": "from", "snapshot_node_name": "o", "snapshot_file": str(image)}
    reply = client.ask("blockdev-snapshot-sync", mode="existing", **overlay)
    assert "AES" in reply["error"]["desc"]
    assert daemon(ours) == 0
    mirror(client)
    assert daemon(ours) != 0


def test_its_death_ends_its_jobs_and_nothing_else(ours: Emulator) -> None:
    """Told at once; a job that is not kept is gone, and the next command finds the graph as it was."""
    client = start(ours)
    mirror(client)
    os.kill(daemon(ours), signal.SIGKILL)
    assert statuses(client, "null") == ["aborting", "BLOCK_JOB_COMPLETED", "concluded", "null"]
    assert client.ask("query-jobs")["return"] == []
    mirror(client)
    names = {each["node-name"] for each in client.ask("query-named-block-nodes")["return"]}
    assert {"from", "to"} <= names
    assert client.ask("query-block-jobs")["return"][0]["device"] == "m"


def test_a_job_that_is_kept_says_how_it_ended(ours: Emulator) -> None:
    """Until it is dismissed, beside those of the next daemon."""
    client = start(ours)
    mirror(client, auto_dismiss=False)
    os.kill(daemon(ours), signal.SIGKILL)
    statuses(client, "concluded")
    (job,) = client.ask("query-jobs")["return"]
    assert (job["id"], job["status"], job["error"]) == ("m", "concluded", "Input/output error")
    client.put("job-dismiss", id="m")
    assert client.story("return") == ["JOB_STATUS_CHANGE", "return"]
    assert client.ask("query-jobs")["return"] == []


def test_a_command_that_it_dies_on_is_answered(ours: Emulator) -> None:
    """One that asserts in the real block layer ends the real QEMU: ours loses the command."""
    client = start(ours)
    mirror(client)
    os.kill(daemon(ours), signal.SIGSTOP)
    client.put("query-block-jobs")
    while unread(client.sock):
        select.select([], [], [], 0.001)
    os.kill(daemon(ours), signal.SIGKILL)
    told = client.story("error")
    assert told[-1] == "error" and "return" not in told
    assert client.ask("query-status")["return"]["status"] == "running"


def test_nodes_can_be_asked_for_during_a_stream(ours: Emulator, tmp_path: Path) -> None:
    """Which ends QEMU 7.2's block layer with SIGSEGV: what they were is told, and then what became of them."""
    for name, more in (("base", ()), ("top", ("-b", "base.qcow2", "-F", "qcow2"))):
        size = ("1G",) if not more else ()
        line = ["qemu-img", "create", "-q", "-f", "qcow2", *more, f"{name}.qcow2", *size]
        subprocess.run(line, cwd=tmp_path, check=True)
    subprocess.run(
        ["qemu-io", "-c", "write 0 4M", "base.qcow2"], cwd=tmp_path, check=True, capture_output=True
    )
    file = f"file.driver=file,file.filename={tmp_path}/top.qcow2"
    disk = ("-blockdev", f"driver=qcow2,node-name=top,{file}", "-device", "virtio-blk-pci,drive=top")
    ours.start("-nodefaults", *disk)
    client = ours.client()
    client.put("block-stream", device="top", job_id="s", speed=65536, auto_dismiss=False)
    assert statuses(client, "running")[-1] == "running"
    assert client.read()["return"] == {}
    nodes = client.ask("query-named-block-nodes")["return"]
    assert [each["backing_file_depth"] for each in nodes if each["node-name"] == "top"] == [1]
    assert [each["drv"] for each in nodes[:2]] == ["copy-on-read", "qcow2"]
    assert nodes[0]["backing_file_depth"] == 2 and "backing_file" not in nodes[0]
    nodes = client.ask("query-named-block-nodes", flat=True)["return"]
    assert [each["backing_file_depth"] for each in nodes[:2]] == [0, 0]
    assert "backing-image" not in nodes[0]["image"]
    assert client.ask("block-job-set-speed", device="s", speed=0)["return"] == {}
    statuses(client, "concluded")
    (drive,) = client.ask("query-block")["return"]
    assert "copy-on-read" not in str(client.ask("query-named-block-nodes")["return"])
    assert drive["inserted"]["backing_file_depth"] == 0 and "backing-image" not in drive["inserted"]["image"]
    client.put("job-dismiss", id="s")
    assert client.story("return") == ["JOB_STATUS_CHANGE", "return"]
    nodes = client.ask("query-named-block-nodes", flat=True)["return"]
    assert [each["backing_file_depth"] for each in nodes if each["node-name"] == "top"] == [0]


def test_it_ends_with_the_machine(ours: Emulator) -> None:
    """However that ends."""
    client = start(ours)
    mirror(client)
    pid = daemon(ours)
    assert ours.process is not None
    ours.process.kill()
    deadline = time.monotonic() + PATIENCE_S
    while runs(pid):
        assert time.monotonic() < deadline


def test_without_it_the_package_is_named(
    ours: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start and queries work; what needs real blocks says what is missing."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    client = start(ours)
    assert client.ask("query-block")["return"] == []
    assert len(client.ask("query-named-block-nodes")["return"]) == 2
    client.ask("blockdev-add", driver="null-co", node_name="more")
    client.ask("blockdev-del", node_name="more")
    client.put("blockdev-mirror", device="from", target="to", sync="full", job_id="m")
    (message,) = [client.read()]
    assert "qemu-system-common" in message["error"]["desc"]
    assert client.ask("query-status")["return"]["status"] == "running"


class Waiting:
    """A loop whose turn is the test's: what it would call when the daemon has spoken."""

    def add_reader(self, fd: int, heard: Callable[[], object]) -> None:
        self.heard = heard

    def remove_reader(self, fd: int) -> None:
        pass

    def call_soon(self, callback: Callable[[], object]) -> None:
        pass


@pytest.mark.timeout(10)
def test_what_was_waited_for_is_not_waited_for_again() -> None:
    """The loop had seen it before; then the daemon has parted."""
    from qmpemu.edge.storage_daemon import StorageDaemon
    from qmpemu.edge.storage_process import StorageProcess

    loop, told = Waiting(), list[object]()
    there = StorageDaemon(StorageProcess(), loop, lambda *_: None, int, int, int)  # type: ignore[arg-type]
    there.call("query-jobs", {}, told.append)
    there.wait(lambda: bool(told))
    assert told == [[]]
    loop.heard()
    there.close()
    loop.heard()


@pytest.mark.timeout(10)
async def test_it_serves_a_machine_on_asyncio() -> None:
    """Where another loop runs in the thread already: what is waited for, and what comes by itself."""
    from qmpemu.edge.storage_daemon import StorageDaemon
    from qmpemu.edge.storage_process import StorageProcess

    loop, told = asyncio.get_running_loop(), list[object]()
    over = loop.create_future()
    there = StorageDaemon(StorageProcess(), loop, lambda *_: None, int, int, int)
    there.call("query-jobs", {}, told.append)
    there.wait(lambda: bool(told))
    there.call("query-block-jobs", {}, over.set_result)
    assert (told, await over) == ([[]], [])
    there.close()


@pytest.mark.parametrize(
    ("folder", "used"), [("domain-1-w10", True), ("home", False), ("domain-" + "x" * 90, False)]
)
def test_a_domains_own_folder_is_used(folder: str, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt removes it with whatever an emulator has left; a socket's path in it may be too long."""
    from qmpemu.edge.storage_daemon import private_folder

    with TemporaryDirectory(prefix="q", dir="/tmp") as short:
        home, other = Path(short, folder), Path(short, "t")
        home.mkdir()
        other.mkdir()
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("TMPDIR", str(other))
        made = Path(private_folder())
        assert made.parent == (home if used else other)
        assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("turn", range(1, 20))
@pytest.mark.parametrize("waits", [False, True])
def test_what_comes_at_any_turn_is_told(turn: int, waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or wakes the emulator: a reply that is read in the last moment is not left in a buffer."""
    daemon, ours = socket.socketpair()
    daemon.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
    monitor = StorageMonitor(ours.detach())
    monitor.told.clear()
    turns = 0
    select_as_ever = monitor._selector.select

    def select_later(timeout: float | None = None) -> Any:
        nonlocal turns
        turns += 1
        if turns == turn:
            daemon.sendall(b'{"return": {}, "id": "__qmp#00001"}\r\n')
        return select_as_ever(timeout)

    monkeypatch.setattr(monitor._selector, "select", select_later)
    for _ in range(2):
        monitor.send("query-jobs", {})
    daemon.sendall(b'{"return": {}, "id": "__qmp#00000"}\r\n')
    (monitor.wait if waits else monitor.advance)()
    monkeypatch.undo()
    assert len(monitor.told) == (1 if turns < turn else 2) or select.select([monitor.fileno()], [], [], 0)[0]
    daemon.close()
    monitor.close()
