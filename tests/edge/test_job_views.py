"""What drives and their statistics show while jobs have put filters into their chains: ours and the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk_client import drive, image, refusal, told
from emulators import Emulator, say

pytestmark = pytest.mark.usefixtures("disk_image")

MIB = 1 << 20


def start(emulator: Emulator) -> Any:
    """A client of a machine with a disk of three layers, whose middle one holds 2 MiB."""
    image("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", "middle.qcow2")
    image("create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", "top.qcow2")
    subprocess.run(["qemu-io", "-c", "write -q -P 8 1M 2M", "middle.qcow2"], check=True)
    words = ["-machine", "q35", "-m", "64", "-S"]
    for node, file, below in (
        ("n0", "disk", ""),
        ("m", "middle", ",backing=n0"),
        ("top", "top", ",backing=m"),
    ):
        read_only = "off" if node == "top" else "on"
        options = f"driver=qcow2,node-name={node},read-only={read_only}{below}"
        words += ["-blockdev", f"{options},file.driver=file,file.filename={file}.qcow2"]
    emulator.start(*words, "-device", "virtio-blk-pci,drive=top,id=d")
    return emulator.client()


def below(row: dict[str, Any]) -> list[str]:
    """Names of nodes down a drive's statistics, by `backing`, where it has one that is named."""
    under = row.get("backing")
    return [row["node-name"], *([] if under is None else below(under))]


@pytest.mark.parametrize("name", [None, "filter"])
def test_a_commit_of_a_middle_layer_is_seen_where_it_is_named(emulator: Emulator, name: str | None) -> None:
    """Its filter, and a layer more; else neither."""
    client = start(emulator)
    named = {} if name is None else {"filter_node_name": name}
    client.put("block-commit", device="top", top_node="m", base_node="n0", job_id="j", speed=1, **named)
    told(client, "running")
    shown = drive(client)
    first = shown["image"]["backing-image"]
    assert (shown["backing_file_depth"], first["format"]) == (
        (2, "qcow2") if name is None else (3, "commit_top")
    )
    (row,) = say(client, "query-blockstats")
    assert below(row) == (["top", "m", "n0"] if name is None else ["top", "filter", "m", "n0"])


def test_what_a_commit_has_written_is_counted(emulator: Emulator) -> None:
    """Of the base, which no guest writes to."""
    client = start(emulator)
    client.put("block-commit", device="top", top_node="m", base_node="n0", job_id="j")
    told(client, "null")
    (row,) = say(client, "query-blockstats")
    assert [row["stats"]["wr_highest_offset"], row["backing"]["stats"]["wr_highest_offset"]] == [0, 3 * MIB]


def test_nobody_else_writes_to_a_disk_while_a_job_runs(emulator: Emulator) -> None:
    """A job elsewhere makes no gap; one of this disk keeps others off itself, and its filter is named."""
    client = start(emulator)
    client.ask("nbd-server-start", addr={"type": "unix", "data": {"path": "nbd.sock"}})
    for node in ("from", "to"):
        client.ask("blockdev-add", driver="null-co", node_name=node, size=MIB)
    client.put("blockdev-mirror", device="from", target="to", sync="full", job_id="j", speed=1)
    told(client, "running")
    export = {"type": "nbd", "id": "e", "node_name": "top", "writable": True}
    own = "an unnamed block device (uses node 'top' as 'root' child)"
    disk = "block device '/machine/peripheral/d/virtio-backend' (uses node 'top' as 'root' child)"
    conflict = (
        f"Permission conflict on node 'top': permissions 'write' are both required by {own} and unshared by "
    )
    assert refusal(client, "block-export-add", **export) == f"{conflict}{disk}."
    client.ask("blockdev-add", driver="null-co", node_name="third", size=8 * MIB)
    say(
        client, "blockdev-backup", device="top", target="third", sync="none", job_id="k", filter_node_name="f"
    )
    assert (
        say(client, "block-export-add", **export) == f"{conflict}node 'f' (uses node 'top' as 'file' child)."
    )


def test_the_file_of_a_disk_that_is_pulled_grows(emulator: Emulator) -> None:
    """Whoever asks for it while the job is there is told what its file has become."""
    client = start(emulator)

    def size() -> int:
        rows = {each["node-name"]: each for each in say(client, "query-named-block-nodes")}
        return int(rows["top"]["image"]["actual-size"])

    before = size()
    client.put("block-stream", device="top", job_id="j", auto_finalize=False)
    told(client, "pending")
    assert size() - before >= 3 * MIB
    client.put("job-finalize", id="j")
    told(client, "null")


def test_an_id_that_is_taken(emulator: Emulator) -> None:
    """The command is refused, and the job before it ends as it was begun: the disk goes over to its target."""
    client = start(emulator)
    image("create", "-q", "-f", "qcow2", "copy.qcow2", "8M")
    file = {"driver": "file", "filename": "copy.qcow2"}
    client.ask("blockdev-add", driver="qcow2", node_name="copy", file=file)
    client.put("blockdev-mirror", device="top", target="copy", sync="full", job_id="j")
    told(client, "BLOCK_JOB_READY")
    assert refusal(client, "block-commit", device="top", job_id="j") == "Need a root block node"
    client.put("job-complete", id="j")
    told(client, "null")
    assert drive(client)["node-name"] == "copy"
