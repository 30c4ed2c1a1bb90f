"""Guest memory and what is behind it on the host: ours refuses and shows what the real one does."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.edge.emulators import Emulator

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = """
-m 900T
-m 900T -object memory-backend-ram,id=m,size=64M
-m 900T,slots=1,maxmem=950T -object memory-backend-ram,id=m,size=901T
-m 900T -M none
-m 900T -mem-path .
-m 900T -object memory-backend-ram,id=m,size=900T -M memory-backend=m
-m 1.5
-m 1e3
-m .5G
-m 16E
-m 64,maxmem=128
-m 64M,maxmem=1.5
-mem-path none/x
-mem-path /proc
-mem-path /etc/hostname/x
-mem-path small
-mem-path . -object memory-backend-ram,id=m,size=128M -M memory-backend=m
-mem-prealloc -object memory-backend-ram,id=m,size=64M,reserve=off
-object memory-backend-ram,id=pc.ram,size=128M
-object memory-backend-ram,id=m,size=900T
-object memory-backend-ram,id=m,size=900T,share=on
-object memory-backend-file,id=m,size=900T,mem-path=.
-object memory-backend-memfd,id=m,size=900T,share=off
-object memory-backend-file,id=m,size=64M,mem-path=/dev/null
-object memory-backend-file,id=m,size=64M,mem-path=/proc
-object memory-backend-file,id=m,size=64M,mem-path=small
-object memory-backend-file,id=m,size=64M,mem-path=f,align=3
-object memory-backend-file,id=m,size=64M,mem-path=f,align=12k
-object memory-backend-ram,id=m,size=64M,reserve=off,prealloc=on
-object memory-backend-ram,id=m,size=64M,prealloc-threads=0
-object memory-backend-ram,id=m,size=64M,prealloc-threads=x
-object memory-backend-ram,id=m,size=64M,host-nodes=120,policy=bind
-object memory-backend-ram,id=m,size=64M,host-nodes=0
-object memory-backend-ram,id=m,size=64M,policy=interleave
-object memory-backend-ram,id=m,size=64M,host-nodes=128,policy=bind
-object memory-backend-ram,id=m,size=64M,host-nodes=2-1,policy=bind
-object memory-backend-ram,id=m,size=64M,host-nodes=x
-object memory-backend-ram,id=m,size=-1
-object memory-backend-ram,id=m,size=1.5
-object memory-backend-memfd,id=m,size=64M,hugetlb=on,hugetlbsize=3M
-object memory-backend-memfd,id=m,size=64M,hugetlb=on,hugetlbsize=8k
-object memory-backend-memfd,id=m,size=1001,hugetlb=on,hugetlbsize=2M,seal=off
-object memory-backend-memfd,id=m,size=64M,hugetlbsize=x
-object memory-backend-memfd,id=m,size=1000000M,hugetlb=on,hugetlbsize=2M
-object memory-backend-epc,id=m,size=64M
-object iothread,id=i,poll-max-ns=1k
-object s390-pv-guest,id=p
"""
MADE = """
-m 64M -mem-path .
-m 64M -mem-path f
-m 64M -mem-path . -M none
-m 64M -M none
-m 64M -mem-prealloc -object memory-backend-ram,id=m,size=4M -smp 2
-m 5000B
-m 1.G
-m " 64"
-object memory-backend-ram,id=m,size=8T,reserve=off
-object memory-backend-file,id=m,size=64M,mem-path=f,share=on
-object memory-backend-file,id=m,size=64M,mem-path=/dev/zero
-object memory-backend-file,id=m,size=1001,mem-path=f,align=2M
-object memory-backend-memfd,id=m,size=64M,hugetlb=off,hugetlbsize=2M
-object memory-backend-ram,id=m,size=64M,host-nodes=0,host-nodes=1,policy=bind
-object memory-backend-ram,id=m,size=64M,host-nodes=0-2,policy=interleave,prealloc=on,prealloc-threads=2
-m 8M -object memory-backend-ram,id=m,size=8M -numa node,memdev=m
"""
ASKED: list[tuple[str, dict[str, object]]] = [
    ("query-memdev", {}),
    ("qom-list", {"path": "/objects"}),
    ("qom-get", {"path": "/machine", "property": "memory-backend"}),
    ("query-memory-size-summary", {}),
    *(
        (
            "object-add",
            {"qom-type": f"memory-backend-{kind}", "id": "new", "size": 1 << 26, **rest},
        )
        for kind, rest in (
            ("ram", {"size": 900 << 40}),
            ("ram", {"prealloc": True, "reserve": False}),
            ("ram", {"host-nodes": [120], "policy": "bind"}),
            ("file", {"mem-path": "none/x"}),
            ("file", {"mem-path": "none"}),
            ("memfd", {"hugetlb": True, "hugetlbsize": 0}),
            ("memfd", {"hugetlb": True, "hugetlbsize": 3 << 20}),
        )
    ),
    ("object-add", {"qom-type": "iothread", "id": "pc.ram"}),
    ("object-del", {"id": "pc.ram"}),
    ("query-memdev", {}),
]


def run(kind: str, folder: Path, line: str, asked: str = "") -> tuple[int, str, list[Any]]:
    """Exit status, standard error and replies of one that is asked, and told to end, as soon as it listens."""
    words = [Emulator(kind, folder).program, "-S", "-nodefaults", "-display", "none", "-qmp", "stdio"]
    room = folder / kind
    room.mkdir()
    (room / "small").write_bytes(b"x")
    done = subprocess.run(
        [*words, *shlex.split(line)],
        input=f'{{"execute": "qmp_capabilities"}}{asked}{{"execute": "quit"}}',
        capture_output=True,
        text=True,
        timeout=20,
        cwd=room,
        env={**os.environ, "QMPEMU_GUEST": "none"},
        check=False,
    )
    said = [json.loads(row) for row in done.stdout.splitlines()]
    left = sorted((each.name, each.stat().st_size) for each in room.iterdir())
    return done.returncode, done.stderr, [left, *(row for row in said if "return" in row or "error" in row)]


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_refused(tmp_path: Path, line: str) -> None:
    """Status, text, and which files are left."""
    real = run("real", tmp_path, line)
    assert real[0] == 1 and real[1]
    ours = run("ours", tmp_path, line)
    assert ours[:2] == real[:2] and ours[2][0] == real[2][0]


@pytest.mark.parametrize("line", MADE.strip().splitlines())
def test_made(tmp_path: Path, line: str) -> None:
    """What is shown of it, what cannot be added to it, and which files are left."""
    asked = "".join(json.dumps({"execute": name, "arguments": given}) for name, given in ASKED)
    real = run("real", tmp_path, line, asked)
    assert real[0] == 0 and len(real[2]) == len(ASKED) + 3
    assert run("ours", tmp_path, line, asked) == real


def test_a_large_guest_runs_on_a_small_host(tmp_path: Path) -> None:
    """What the guest does not use the host need not have."""
    status, said, _ = run(
        "ours", tmp_path, "-m 64M,maxmem=8T,slots=2 -object memory-backend-ram,id=m,size=4T"
    )
    assert (status, said) == (0, "")


SET: list[tuple[str, dict[str, list[Any]]]] = [
    (
        "-object memory-backend-ram,id=m,size=64M",
        {
            "merge": [False, 3],
            "dump": [False, "x"],
            "prealloc": [True, False],
            "size": [4096, "x"],
            "share": [True, "x"],
            "reserve": [False],
            "prealloc-threads": [3, 0, "x", -1, 5_000_000_000],
            "policy": ["bind", "x", 3],
            "host-nodes": [[1], [3], 3, ["x"], [300]],
            "x-use-canonical-path-for-ramblock-id": [True],
            "type": ["x"],
            "mem-path": ["x"],
        },
    ),
    (
        "-object memory-backend-file,id=m,size=64M,mem-path=.,reserve=off",
        {
            "prealloc": [True],
            "discard-data": [True, 3],
            "align": [1, "x"],
            "mem-path": ["x", 3],
            "pmem": [True],
            "readonly": [True],
        },
    ),
    (
        "-object memory-backend-memfd,id=m,size=64M",
        {"hugetlb": [True], "hugetlbsize": [2097152], "seal": [False], "mem-path": ["x"]},
    ),
    ("-M pc", {"merge": [False, 3], "size": [1], "dump": [False]}),
]


@pytest.mark.parametrize(("line", "values"), SET)
def test_set(tmp_path: Path, line: str, values: dict[str, list[Any]]) -> None:
    """What of a back end can be changed while it is there, and what is said of all else."""
    path = "/objects/m" if "id=m" in line else "/objects/pc.ram"
    asked = [
        ("qom-set", {"path": path, "property": name, "value": value})
        for name, each in values.items()
        for value in each
    ]
    asked += [("qom-get", {"path": path, "property": name}) for name in values]
    text = "".join(json.dumps({"execute": name, "arguments": given}) for name, given in asked)
    text += '{"execute": "query-memdev"}'
    real = run("real", tmp_path, line, text)
    assert real[0] == 0 and len(real[2]) == len(asked) + 4
    assert run("ours", tmp_path, line, text) == real


REGIONS = """
-m 64M,slots=2,maxmem=1G -object memory-backend-ram,id=m,size=64M DIMMS
-m 5G,slots=2,maxmem=9G -object memory-backend-ram,id=m,size=64M -device virtio-mem-pci,memdev=m,requested-size=4M
-object memory-backend-ram,id=m,size=64M -device ivshmem-plain,memdev=m
-M none -object memory-backend-memfd,id=m,size=64M
-m 128M -object memory-backend-ram,id=m,size=32M -object memory-backend-ram,id=a,size=96M NODES
"""
DIMMS = "-object memory-backend-ram,id=a,size=64M -device pc-dimm,memdev=a -device pc-dimm,memdev=m"
NODES = "-smp 2 -numa node,memdev=a,cpus=0 -numa node,memdev=m,cpus=1"


@pytest.mark.parametrize("line", REGIONS.strip().splitlines())
def test_regions(tmp_path: Path, line: str) -> None:
    """Where the memory of a back end is mapped."""
    asked = [("qom-list", {"path": path}) for path in ("/objects/m", "/objects/m/m[0]", "/machine/pc.ram[0]")]
    asked += [
        ("qom-get", {"path": "/objects/m/m[0]", "property": name})
        for name in ("container", "addr", "size", "priority")
    ]
    text = "".join(json.dumps({"execute": name, "arguments": given}) for name, given in asked)
    line = line.replace("NODES", NODES).replace("DIMMS", DIMMS)
    real = run("real", tmp_path, line, text)
    assert real[0] == 0 and len(real[2]) == len(asked) + 3
    assert run("ours", tmp_path, line, text) == real
