"""Every query without arguments answers on ours as on the real QEMU, for each family of machines."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from emulators import Emulator

QUERY = re.compile(r"(x-)?query-")
VOLATILE = (
    (rb"/[^\"]*/qmp\.sock", b"<socket>"),
    (rb'"thread-id": \d{2,}', b'"thread-id": <tid>'),
    (rb"gen code size +0/\d+", b"gen code size <size>"),
)
"""What differs from process or host: the socket's path, thread ids, the size of the translation buffer."""


def answers(emulator: Emulator, machine: str) -> dict[str, bytes]:
    """Each query's reply, volatile values replaced."""
    client = emulator.start("-machine", machine, "-S").client()
    client.ask("qom-list-types")  # loads modules, which makes the real one list more options afterwards
    schema = client.ask("query-qmp-schema")["return"]
    types = {info["name"]: info for info in schema}
    replies = {}
    for info in schema:
        if info["meta-type"] != "command" or not QUERY.match(info["name"]):
            continue
        if all("default" in member for member in types[info["arg-type"]]["members"]):
            client.put(info["name"])
            reply = client.read_line()
            for pattern, stands_for in VOLATILE:
                reply = re.sub(pattern, stands_for, reply)
            replies[info["name"]] = reply
    return replies


@pytest.mark.parametrize("machine", ["none", "q35", "pc"])
def test_queries_answer_as_real_qemu(machine: str, tmp_path: Path) -> None:
    """All 68; bytes compared, but for paths, thread ids and the size of a buffer that follows the host's memory."""
    found = {}
    for kind in ("real", "ours"):
        folder = tmp_path / kind
        folder.mkdir()
        emulator = Emulator(kind, folder)
        try:
            found[kind] = answers(emulator, machine)
        finally:
            emulator.kill()
    assert len(found["real"]) == 68
    differing = {name: reply for name, reply in found["ours"].items() if reply != found["real"][name]}
    assert differing == {}


def test_statistics_of_a_chain(tmp_path: Path) -> None:
    """A drive's go down the chain; a node's are its own and its file's."""
    for made in (["base.qcow2", "1M"], ["-b", "base.qcow2", "-F", "qcow2", "top.qcow2"]):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *made], cwd=tmp_path, check=True)
    words = ["-machine", "q35", "-nodefaults"]
    for name, file in (("b", "base"), ("t", "top")):
        words += ["-blockdev", f"file,node-name={name}f,filename={tmp_path}/{file}.qcow2"]
        backing = ",backing=b" if name == "t" else ""
        words += ["-blockdev", f"qcow2,node-name={name},file={name}f{backing}"]
    words += ["-device", "virtio-blk-pci,drive=t"]
    found = []
    for kind in ("real", "ours"):
        (tmp_path / kind).mkdir()
        emulator = Emulator(kind, tmp_path / kind)
        try:
            client = emulator.start(*words, "-S").client()
            found.append(
                [client.ask("query-blockstats", **{"query-nodes": on})["return"] for on in (True, False)]
            )
        finally:
            emulator.kill()
    assert found[1] == found[0]


def test_memory_back_ends_are_told_of_in_the_order_of_the_tree(emulator: Emulator) -> None:
    """Which follows from when each object was made: those of memory come last of the command line's."""
    objects = (
        *(
            "secret,id=masterKey0,data=12",
            "memory-backend-ram,id=ram-node0,size=64M",
            "iothread,id=iothread1",
        ),
        *("iothread,id=iothread2", "rng-random,id=objrng0"),
    )
    words = [word for each in objects for word in ("-object", each)]
    emulator.start(
        "-machine", "q35", "-m", "64M,maxmem=1G,slots=2", *words, "-numa", "node,memdev=ram-node0", "-S"
    )
    client = emulator.client()
    more = {"qom_type": "memory-backend-ram", "id": "memdimm0", "size": 128 << 20}
    assert client.ask("object-add", **more) == {"return": {}}
    told = [each["id"] for each in client.ask("query-memdev")["return"]]
    shown = [each["name"] for each in client.ask("qom-list", path="/objects")["return"]]
    assert told == [name for name in shown if name in ("ram-node0", "memdimm0")]
