"""snapshot-save, -load and -delete: ours and the real one, and what the images know afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator
from test_snapshots import act, refusal

BEGUN = ["created", "running"]
STANDS = ["STOP", "RESUME"]
DONE = ["return", "waiting", "pending", "concluded"]
FAILED = ["return", "aborting", "concluded"]


@pytest.fixture(autouse=True)
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        subprocess.run(f"qemu-img create -q -f qcow2 {name}.qcow2 8M".split(), check=True)


def start(emulator: Emulator, *words: str, env: dict[str, str] | None = None) -> Any:
    """A client of a machine with two disks."""
    disks = [
        word
        for name in ("one", "two")
        for word in (
            "-blockdev",
            f"driver=qcow2,node-name={name},file.driver=file,file.filename={name}.qcow2",
            "-device",
            f"virtio-blk-pci,drive={name}",
        )
    ]
    emulator.start("-machine", "q35", "-m", "64", *disks, *words, env=env)
    return emulator.client()


def run(client: Any, kind: str, **arguments: object) -> list[str]:
    """What is told of a job up to its end; then it is dismissed."""
    client.put(f"snapshot-{kind}", job_id="j", **arguments)
    told: list[str] = []
    while not told or told[-1] != "concluded":
        message = client.read()
        assert "error" not in message, message
        told.append(message["data"].get("status") if message.get("data") else message.get("event", "return"))
    return told


def over(client: Any) -> str | None:
    """Dismiss the job; why it failed."""
    (job,) = client.ask("query-jobs")["return"]
    assert job["id"] == "j" and job["status"] == "concluded"
    client.put("job-dismiss", id="j")
    assert client.story("return") == ["JOB_STATUS_CHANGE", "return"]
    return job.get("error")


def tags(name: str) -> list[str]:
    """The snapshots that qemu-img finds in an image."""
    shown = subprocess.run(
        ["qemu-img", "info", "-U", "--output", "json", f"{name}.qcow2"], check=True, capture_output=True
    )
    return [each["name"] for each in json.loads(shown.stdout).get("snapshots", [])]


def test_taken_gone_back_to_and_forgotten(emulator: Emulator) -> None:
    """Of the disks that are named; a machine that runs stands still for it."""
    client = start(emulator)
    both = {"tag": "t", "vmstate": "one", "devices": ["one", "two"]}
    assert run(client, "save", **both) == [*BEGUN, *STANDS, *DONE]
    assert over(client) is None
    assert (tags("one"), tags("two")) == (["t"], ["t"])
    assert run(client, "save", tag="u", vmstate="two", devices=["two"]) == [*BEGUN, *STANDS, *DONE]
    assert over(client) is None
    assert (tags("one"), tags("two")) == (["t"], ["t", "u"])
    assert run(client, "load", **both) == [*BEGUN, *STANDS, *DONE]
    assert over(client) is None
    client.put("stop")
    assert client.story("return") == ["STOP", "return"]
    assert run(client, "load", **both) == [*BEGUN, *DONE]
    assert over(client) is None
    assert run(client, "delete", tag="t", devices=["two"]) == [*BEGUN, *DONE]
    assert over(client) is None
    assert (tags("one"), tags("two")) == (["t"], ["u"])
    assert client.ask("query-status")["return"]["status"] == "paused"


def test_those_of_some_disks_are_listed_by_themselves(emulator: Emulator) -> None:
    """`info snapshots` tells which cannot be gone back to."""
    client = start(emulator, "-S")
    run(client, "save", tag="t", vmstate="one", devices=["one"])
    over(client)
    shown = client.ask("human-monitor-command", command_line="info snapshots")["return"].splitlines()
    assert shown[:4] == [
        "List of snapshots present on all disks:",
        "None",
        "",
        "List of partial (non-loadable) snapshots on '':",
    ]
    assert [line.split()[:2] for line in shown[5:]] == [["1", "t"]]


def test_what_is_wrong_is_told_by_the_job(emulator: Emulator) -> None:
    """And changes nothing, but that a load has stopped the machine."""
    client = start(emulator)
    one = {"tag": "t", "vmstate": "one", "devices": ["one"]}
    run(client, "save", **one)
    assert over(client) is None
    assert run(client, "save", **one) == [*BEGUN, *FAILED]
    assert over(client) == "Snapshot 't' already exists in one or more devices"
    assert run(client, "save", tag="u", vmstate="two", devices=["one"]) == [*BEGUN, *FAILED]
    assert over(client) == "vmstate block device 'two' does not exist"
    assert run(client, "load", tag="t", vmstate="one", devices=["one", "two"]) == [*BEGUN, "STOP", *FAILED]
    assert over(client) == "Snapshot 't' does not exist in one or more devices"
    assert client.ask("query-status")["return"]["status"] == "restore-vm"
    assert (tags("one"), tags("two")) == (["t"], [])


def test_a_job_of_a_name_that_is_taken(emulator: Emulator) -> None:
    """By a job of either kind."""
    client = start(emulator, "-S")
    run(client, "save", tag="t", vmstate="one", devices=["one"])
    client.put("block-stream", device="one", job_id="j")
    assert client.read()["error"]["desc"] == "Job ID 'j' already in use"
    over(client)
    client.ask("blockdev-add", driver="null-co", node_name="null", size=8 << 20)
    client.put("blockdev-mirror", device="one", target="null", sync="full", job_id="j")
    while client.read().get("event") != "BLOCK_JOB_READY":
        pass
    client.put("snapshot-save", job_id="j", tag="u", vmstate="two", devices=["two"])
    while "event" in (message := client.read()):
        pass
    if "return" in message:  # of the copy: it came after what the job told
        message = client.read()
    assert message["error"]["desc"] == "Job ID 'j' already in use"


def test_the_guest_is_what_it_was(ours: Emulator) -> None:
    """Who has logged on since is not there after going back."""
    guest = {"QMPEMU_GUEST": "windows-10", "QMPEMU_SPEED": "200x", "QMPEMU_SET": "VIDEOIDLE=0,VIDEOCONLOCK=0"}
    client = start(ours, env=guest)
    act(client, "log_on", "Ada")
    act(client, "log_off", "Ada")
    nobody = {"tag": "nobody", "vmstate": "two", "devices": ["one", "two"]}
    assert run(client, "save", **nobody) == [*BEGUN, *STANDS, *DONE]
    assert over(client) is None
    act(client, "log_on", "Ada")
    assert run(client, "load", **nobody) == [*BEGUN, *STANDS, *DONE]
    assert over(client) is None
    assert "'User' is locked" in refusal(client, "lock")
