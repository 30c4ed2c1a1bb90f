"""Dumps of memory: the wire on ours and the real one, and the files by their formats."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulators import Emulator

MIB = 1 << 20
RAM = 64 * MIB
TOTAL = RAM + MIB // 4
DONE = {"total": TOTAL, "status": "completed", "completed": TOTAL}


def start(emulator: Emulator, *words: str, machine: str = "q35") -> Any:
    """A client of a machine of 64 MiB."""
    emulator.start("-machine", machine, "-nodefaults", "-m", "64", *words)
    return emulator.client()


def dump(client: Any, protocol: str, **arguments: object) -> list[Any]:
    """What is told until the reply: names of events, and the reply's error or None."""
    client.put("dump-guest-memory", **{"protocol": protocol, "paging": False, **arguments})
    told: list[Any] = []
    while True:
        message = client.read()
        if "event" not in message:
            return [*told, message.get("error", {}).get("desc")]
        told.append(message["event"])


@pytest.mark.parametrize("form", ["elf", "kdump-zlib"])
def test_a_dump_stops_the_machine_and_lets_it_go_on(emulator: Emulator, tmp_path: Path, form: str) -> None:
    """The reply comes last."""
    client = start(emulator)
    assert client.ask("query-dump")["return"] == {"total": 0, "status": "none", "completed": 0}
    told = dump(client, f"file:{tmp_path}/core", format=form)
    assert told == ["STOP", "DUMP_COMPLETED", "RESUME", None]
    assert client.ask("query-dump")["return"] == DONE
    assert (tmp_path / "core").stat().st_mode & 0o777 == 0o400


def test_a_detached_dump_is_answered_first(emulator: Emulator, tmp_path: Path) -> None:
    """Its end is an event. One that does not run is not resumed."""
    client = start(emulator)
    assert dump(client, f"file:{tmp_path}/core", detach=True) == ["STOP", None]
    assert client.read()["data"] == {"result": DONE}
    assert client.read()["event"] == "RESUME"
    client.put("stop")
    assert client.story("return") == ["STOP", "return"]
    assert dump(client, f"file:{tmp_path}/core2") == ["DUMP_COMPLETED", None]


REFUSALS: list[tuple[str, dict[str, object], list[str | None]]] = [
    ("/core", {}, ["Invalid parameter 'protocol'"]),
    ("fd:x", {}, ["File descriptor named 'x' has not been found"]),
    ("file:/nonexistent/x", {}, ["Could not open '/nonexistent/x': No such file or directory"]),
    ("file:", {}, ["Could not open '': No such file or directory"]),
    ("file:core", {"begin": 1}, ["Parameter 'length' is missing"]),
    ("file:core", {"length": 1}, ["Parameter 'begin' is missing"]),
    ("file:core", {"format": "kdump-lzo"}, ["kdump-lzo is not available now"]),
    ("file:core", {"begin": -1, "length": 1}, ["STOP", "RESUME", "Invalid parameter 'begin'"]),
    ("file:core", {"begin": 0, "length": 0}, ["STOP", "RESUME", "Invalid parameter 'length'"]),
    ("file:core", {"begin": 1 << 40, "length": 1}, ["STOP", "RESUME", "dump: no guest memory to dump"]),
    (
        "file:core",
        {"format": "kdump-zlib", "paging": True},
        ["kdump-compressed format doesn't support paging or filter"],
    ),
    (
        "file:core",
        {"format": "win-dmp"},
        ["STOP", "DUMP_COMPLETED", "RESUME", "win-dump: invalid vmcoreinfo note size"],
    ),
]


def test_what_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    """With the real one's texts, and the machine runs as before."""
    client = start(emulator)
    for protocol, arguments, told in REFUSALS:
        protocol = protocol.replace("file:core", f"file:{tmp_path}/core")
        assert dump(client, protocol, **arguments) == told, json.dumps(arguments)
    assert client.ask("query-status")["return"]["status"] == "running"


def test_a_machine_without_memory_and_one_that_waits(emulator: Emulator, tmp_path: Path) -> None:
    """There is nothing to dump, or nothing yet."""
    client = start(emulator, "-incoming", "defer")
    assert dump(client, f"file:{tmp_path}/core") == ["Dump not allowed during incoming migration."]


def test_an_elf_core(emulator: Emulator, tmp_path: Path) -> None:
    """A note for each processor, and memory where it is; the same on both before an operating system runs."""
    client = start(emulator, "-smp", "2", "-S")
    dump(client, f"file:{tmp_path}/core")
    data = (tmp_path / "core").read_bytes()
    assert data[:5] == b"\x7fELF\x02" and struct.unpack_from("<HH", data, 16) == (4, 3)
    segments_at, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    segments = [struct.unpack_from("<IIQQQQQQ", data, segments_at + 56 * index) for index in range(count)]
    loads = [(kind, at, size) for kind, _, _, at, _, size, _, _ in segments[1:]]
    assert loads[0][:2] == (1, 0) and loads[-1] == (1, 0xFFFC0000, MIB // 4)
    _, _, notes_at, _, _, size, _, _ = segments[0]
    names = []
    at = notes_at
    while at < notes_at + size:
        name, description, kind = struct.unpack_from("<III", data, at)
        names.append((data[at + 12 : at + 12 + name], description, kind))
        at += 12 + 8 + description
    assert names == [(b"CORE\0", 144, 1)] * 2 + [(b"QEMU\0", 440, 0)] * 2
    assert len(data) == segments[-1][2] + segments[-1][5] + 11


def test_part_of_memory(emulator: Emulator, tmp_path: Path) -> None:
    """From begin on, for length bytes."""
    client = start(emulator)
    dump(client, f"file:{tmp_path}/core", begin=MIB, length=4096)
    assert client.ask("query-dump")["return"]["total"] == 4096


def test_a_kdump_file(emulator: Emulator, tmp_path: Path) -> None:
    """Every page has a descriptor, and each descriptor a page (format: makedumpfile, flattened)."""
    client = start(emulator)
    dump(client, f"file:{tmp_path}/core", format="kdump-zlib")
    image = unflattened((tmp_path / "core").read_bytes())
    assert image[:8] == b"KDUMP   "
    status, page, heads, bitmaps, last = struct.unpack_from("<5I", image, 424)
    assert (status, page, last) == (1, 4096, 1 << 20)
    bitmap_at = page * (1 + heads)
    bitmap = image[bitmap_at : bitmap_at + bitmaps * page // 2]
    pages = sum(each.bit_count() for each in bitmap)
    assert pages == TOTAL // page
    at = bitmap_at + bitmaps * page
    for index in range(0, pages, 997):
        page_at, size, _, _ = struct.unpack_from("<qIIQ", image, at + 24 * index)
        assert page_at + size <= len(image)


def unflattened(data: bytes) -> bytes:
    """The file that the records describe."""
    assert data[:12] == b"makedumpfile"
    made, at = bytearray(), 4096
    while True:
        offset, size = struct.unpack_from(">qq", data, at)
        if (offset, size) == (-1, -1):
            return bytes(made)
        made.extend(bytes(max(0, offset + size - len(made))))
        made[offset : offset + size] = data[at + 16 : at + 16 + size]
        at += 16 + size


def pass_pipe(client: Any) -> int:
    """Name one end of a pipe `d`; the other one."""
    readable, writable = os.pipe()
    message = b'{"execute":"getfd","arguments":{"fdname":"d"}}'
    socket.send_fds(client.sock, [message], [writable])
    os.close(writable)
    assert client.read() == {"return": {}}
    return readable


def test_into_a_pipe_nobody_waits(ours: Emulator) -> None:
    """The machine answers others while a slow reader takes the dump; it is one of an operating system's processor."""
    client = start(ours)
    readable = pass_pipe(client)
    assert dump(client, "fd:d", detach=True) == ["STOP", None]
    assert client.ask("query-status")["return"]["status"] == "save-vm"
    assert client.ask("query-dump")["return"] == {"total": TOTAL, "status": "active", "completed": 0}
    assert dump(client, "fd:d") == ["There is a dump in process, please wait."]
    with open(readable, "rb") as pipe:
        assert len(pipe.read()) > TOTAL
    assert [client.read()["event"] for _ in range(2)] == ["DUMP_COMPLETED", "RESUME"]


def test_a_reader_that_goes_away(ours: Emulator) -> None:
    """The dump fails, and the machine goes on."""
    client = start(ours)
    os.close(pass_pipe(client))
    assert dump(client, "fd:d") == [
        "STOP",
        "DUMP_COMPLETED",
        "RESUME",
        "dump: failed to save memory: Broken pipe",
    ]
    assert client.ask("query-status")["return"]["status"] == "running"


def test_memory_of_many_gib_costs_little(ours: Emulator, tmp_path: Path) -> None:
    """It is a hole in the file, above 4 GiB as well."""
    memory = "memory-backend-ram,id=m,size=64G,reserve=off"  # which no host is short of
    client = start(ours, "-m", "65536", "-object", memory, "-machine", "memory-backend=m")
    dump(client, f"file:{tmp_path}/core")
    status = (tmp_path / "core").stat()
    assert status.st_size > 64 << 30 and status.st_blocks * 512 < MIB
