"""Internal snapshots through the human monitor: ours and the real one, and what comes back with one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import PATIENCE_S, Emulator

STANDS = ["STOP", "RESUME"]
DISK = "qcow2,node-name=n0,file.driver=file,file.filename=disk.qcow2"


@pytest.fixture(autouse=True)
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run("qemu-img create -q -f qcow2 disk.qcow2 64M".split(), check=True)
    subprocess.run("qemu-img create -q -f raw raw.img 1M".split(), check=True)


def start(emulator: Emulator, *words: str, disk: str | None = DISK, env: dict[str, str] | None = None) -> Any:
    """A client of a machine with a disk."""
    disks = ("-blockdev", disk, "-device", "virtio-blk-pci,drive=n0") if disk else ()
    emulator.start("-machine", "q35", "-m", "64", *disks, *words, env=env)
    return emulator.client()


def human(client: Any, line: str) -> list[str]:
    """Events and what is shown, without line ends."""
    client.put("human-monitor-command", command_line=line)
    told: list[str] = []
    while True:
        message = client.read()
        if "return" in message:
            return [*told, message["return"].strip()]
        told.append(message["event"])


def tags() -> list[str]:
    """The snapshots that qemu-img finds in the image."""
    shown = subprocess.run(
        "qemu-img info -U --output json disk.qcow2".split(), check=True, capture_output=True
    )
    return [each["name"] for each in json.loads(shown.stdout).get("snapshots", [])]


def test_taking_listing_going_back_and_forgetting(emulator: Emulator) -> None:
    """A machine that runs stands still for it; one that is paused stays so."""
    client = start(emulator)
    assert human(client, "info snapshots") == ["There is no snapshot available."]
    assert human(client, "savevm one") == [*STANDS, ""]
    assert human(client, "savevm two") == [*STANDS, ""]
    assert human(client, "savevm one") == [*STANDS, ""]
    shown = human(client, "info snapshots")[0].splitlines()
    assert [line.split()[1] for line in shown[2:]] == ["two", "one"]
    assert human(client, "loadvm two") == [*STANDS, ""]
    client.put("stop")
    assert client.story("return") == ["STOP", "return"]
    assert human(client, "loadvm one") == [""]
    assert human(client, "savevm") == [""]
    assert client.ask("query-status")["return"]["status"] == "paused"
    assert human(client, "delvm one") == [""]
    assert human(client, "delvm one") == [""]
    found = tags()
    assert found[0] == "two" and re.fullmatch(r"vm-\d{14}", found[1]) and len(found) == 2


def test_what_is_refused(emulator: Emulator) -> None:
    """A snapshot that is not there leaves a machine that ran standing."""
    client = start(emulator)
    missing = "Error: Snapshot 'nope' does not exist in one or more devices"
    assert human(client, "loadvm nope") == ["STOP", missing]
    assert client.ask("query-status")["return"]["status"] == "restore-vm"
    for verb in ("loadvm", "delvm"):
        assert human(client, verb) == [f'{verb}: string expected\r\nTry "help {verb}" for more information']


def test_disks_that_cannot(emulator: Emulator) -> None:
    """No disk at all, or one whose format has no snapshots."""
    text = "no block device can store vmstate for snapshot"
    client = start(emulator, disk=None)
    assert human(client, "savevm x") == [f"Error: {text}"]
    assert human(client, "info snapshots") == [text]
    emulator.kill()
    emulator.socket_path.unlink()
    client = start(emulator, disk="raw,node-name=n0,file.driver=file,file.filename=raw.img")
    assert human(client, "savevm x") == ["Error: Device 'n0' is writable but does not support snapshots"]
    assert human(client, "info snapshots") == [text]
    emulator.kill()
    emulator.socket_path.unlink()
    client = start(emulator, "-drive", "file=raw.img,format=raw,if=virtio,id=d1")
    assert human(client, "info snapshots") == ["There is no snapshot available."]
    assert human(client, "savevm x") == ["Error: Device 'd1' is writable but does not support snapshots"]


def test_a_snapshot_of_the_disk_alone(emulator: Emulator) -> None:
    """qemu-img's own has no guest in it."""
    subprocess.run("qemu-img snapshot -c alone disk.qcow2".split(), check=True)
    client = start(emulator, "-S")
    text = "This is a disk-only snapshot. Revert to it  offline using qemu-img"
    assert human(client, "loadvm alone") == [f"Error: {text}"]


def test_the_guest_is_what_it_was(ours: Emulator) -> None:
    """Who has logged on since the snapshot is not there after going back, and may log on again."""
    guest = {"QMPEMU_GUEST": "windows-10", "QMPEMU_SPEED": "200x", "QMPEMU_SET": "VIDEOIDLE=0,VIDEOCONLOCK=0"}
    client = start(ours, env=guest)
    act(client, "log_on", "Ada")
    act(client, "log_off", "Ada")
    assert human(client, "savevm nobody") == [*STANDS, ""]
    act(client, "log_on", "Ada")
    assert human(client, "savevm Ada") == [*STANDS, ""]
    for _ in range(2):
        assert human(client, "loadvm nobody") == [*STANDS, ""]
        assert "'User' is locked" in refusal(client, "lock")
        assert human(client, "loadvm Ada") == [*STANDS, ""]
        act(client, "lock")
        act(client, "log_off", "Ada")
    assert subprocess.run("qemu-img check -q -U disk.qcow2".split(), check=False).returncode == 0


def asked(client: Any, name: str, value: str) -> Any:
    """The reply to an act at the console."""
    client.put(f"__org.qmpemu_{name}", **({"value": value} if value else {}))
    while "event" in (message := client.read()):
        pass
    return message


def refusal(client: Any, name: str) -> str:
    """Why the act is impossible."""
    return str(asked(client, name, "")["error"]["desc"])


def act(client: Any, name: str, value: str = "") -> None:
    """An act at the console, once Windows is there for it."""
    deadline = time.monotonic() + PATIENCE_S
    while "error" in (message := asked(client, name, value)):
        assert time.monotonic() < deadline, message


def test_start_from_a_snapshot(emulator: Emulator) -> None:
    """-loadvm; -S keeps it standing."""
    assert human(start(emulator), "savevm one") == [*STANDS, ""]
    for words, status in ((("-S",), "prelaunch"), ((), "running")):
        emulator.kill()
        emulator.socket_path.unlink()
        client = start(emulator, "-loadvm", "one", *words)
        assert client.ask("query-status")["return"]["status"] == status


def test_bitmaps_keep_an_image_from_going_back(emulator: Emulator) -> None:
    """While the machine runs, and at its start."""
    client = start(emulator)
    assert human(client, "savevm one") == [*STANDS, ""]
    client.ask("block-dirty-bitmap-add", node="n0", name="b", persistent=True)
    why = "Device has active dirty bitmaps"
    assert human(client, "loadvm one")[-1] == f"Error: Could not load snapshot 'one' on 'n0': {why}"
    client.put("quit")
    emulator.finish()
    emulator.socket_path.unlink(missing_ok=True)
    disks = ("-blockdev", DISK, "-device", "virtio-blk-pci,drive=n0")
    emulator.start("-machine", "q35", "-m", "64", *disks, "-loadvm", "one")
    status, errors = emulator.finish()
    assert (status, errors.strip().partition(": ")[2]) == (1, why)
    told = subprocess.run(
        ["qemu-img", "info", "disk.qcow2"], capture_output=True, text=True, check=True
    ).stdout
    assert "in-use" in told  # a start that fails closes nothing


@pytest.mark.parametrize("disk", [DISK, None])
def test_start_from_a_snapshot_that_is_not_there(emulator: Emulator, disk: str | None) -> None:
    """One sentence, and no machine."""
    disks = ("-blockdev", disk, "-device", "virtio-blk-pci,drive=n0") if disk else ()
    emulator.start("-machine", "q35", "-m", "64", *disks, "-loadvm", "nope")
    status, errors = emulator.finish()
    missing = "Snapshot 'nope' does not exist in one or more devices"
    text = missing if disk else "no block device can store vmstate for snapshot"
    assert (status, errors.strip().partition(": ")[2]) == (1, text)


def test_names_in_quotes(emulator: Emulator) -> None:
    """As libvirt sends them; the events of a migration tell of the guest's state on its way."""
    client = start(emulator)
    client.ask("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    states = ["MIGRATION", "MIGRATION_PASS", "MIGRATION_PASS", "MIGRATION"]
    assert human(client, 'savevm "a \\"b\\""') == ["STOP", *states, "RESUME", ""]
    assert client.ask("query-migrate")["return"]["status"] == "completed"
    assert tags() == ['a "b"']
    assert human(client, 'savevm "a') == ['savevm: string expected\r\nTry "help savevm" for more information']
    assert human(client, 'delvm "a \\"b\\""') == [""]
