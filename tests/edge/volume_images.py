"""Volumes and partition tables for tests of edge.volumes, made and judged by tools that we did not write."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID
from zlib import crc32

from qmpemu.edge.volumes import Volume, find

MIB = 1 << 20
TOOLS = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
BASIC_DATA = UUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7").bytes_le

FAT32 = {
    "fat32": "-F 32 -s 1 -n DATEN",
    "fat32, one table": "-F 32 -s 1 -f 1 -n DATEN",
    "fat32, 4Kn": "-F 32 -S 4096 -n DATEN",
}
NTFS_KINDS = {
    "ntfs": "",
    "ntfs, records straddle clusters": "-s 512 -c 512",
    "ntfs, 4Kn": "-s 4096 -c 4096",
    "ntfs, big clusters": "-c 131072",
}
KINDS = [*FAT32, *NTFS_KINDS]


def run(*words: str | Path) -> tuple[int, str]:
    """A Debian tool's exit status and all that it said."""
    done = subprocess.run(
        words, env=TOOLS, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode, done.stdout


def make(path: Path, kind: str, size: int = 34 * MIB) -> Path:
    """A freshly made volume of that kind, in a file of its own."""
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, size)
    if kind in FAT32:
        status, said = run("mkfs.vfat", *FAT32[kind].split(), path)
    else:
        status, said = run("mkntfs", "-F", "-Q", "-L", "Daten", *NTFS_KINDS[kind].split(), path)
    assert status == 0, said
    return path


def judge(path: Path, kind: str) -> bool:
    """Whether the tools call the volume in `path` dirty; they must find nothing else about it."""
    return (_judge_fat32 if kind.startswith("fat32") else _judge_ntfs)(path)


def _judge_fat32(path: Path) -> bool:
    status, said = run("fsck.vfat", "-n", path)
    dirty = "Dirty bit is set" in said
    assert status == int(dirty), said
    assert "FATs differ" not in said
    return dirty


def _judge_ntfs(path: Path) -> bool:
    status, said = run("ntfsfix", "-n", path)
    assert status == 0, said
    assert "Mounting volume... OK" in said
    status, said = run("ntfsinfo", "-m", path)
    dirty = "Volume is scheduled for check" in said
    assert status == int(dirty), said
    assert f"Volume Flags: 0x000{int(dirty)}" in run("ntfsinfo", "-f", "-m", path)[1]
    return dirty


def changed(before: bytes, path: Path) -> list[int]:
    """Where the file differs from `before`, byte by byte where a MiB does."""
    after = path.read_bytes()
    assert len(after) == len(before)
    parts = [at for at in range(0, len(after), MIB) if after[at : at + MIB] != before[at : at + MIB]]
    return [
        at for part in parts for at in range(part, min(part + MIB, len(after))) if after[at] != before[at]
    ]


def only(path: Path) -> Volume:
    """The one volume of an image."""
    [volume] = find(str(path))
    return volume


def entry(kind: int, start: int, count: int) -> bytes:
    """An MBR entry; positions in sectors."""
    return bytes((0, 0, 0, 0, kind, 0, 0, 0)) + start.to_bytes(4, "little") + count.to_bytes(4, "little")


def table(*entries: bytes) -> bytes:
    """A sector with an MBR or EBR."""
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def mbr(disk: bytearray, parts: list[tuple[int, int]]) -> None:
    """All parts but the first are logical drives of one extended partition; their EBRs lie 1 MiB before them."""
    (start, size), logical = parts[0], [(at // 512, size // 512) for at, size in parts[1:]]
    base = logical[0][0] - 2048
    disk[:512] = table(entry(7, start // 512, size // 512), entry(0x0F, base, len(disk) // 512 - base))
    for number, (at, count) in enumerate(logical):
        links = [
            entry(0x0F, nxt - 2048 - base, size + 2048) for nxt, size in logical[number + 1 : number + 2]
        ]
        disk[(at - 2048) * 512 : (at - 2047) * 512] = table(entry(7, 2048, count), *links)


def gpt(
    sector: int, copies: tuple[bool, bool] = (True, True)
) -> Callable[[bytearray, list[tuple[int, int]]], None]:
    """A GPT with that size of sectors, and either or both of its copies whole."""

    def write(disk: bytearray, parts: list[tuple[int, int]]) -> None:
        last = len(disk) // sector - 1
        disk[:512] = table(entry(0xEE, 1, last))
        rows = b"".join(
            BASIC_DATA
            + bytes((number,)) * 16
            + (at // sector).to_bytes(8, "little")
            + ((at + size) // sector - 1).to_bytes(8, "little")
            + bytes(80)
            for number, (at, size) in enumerate(parts, 1)
        ).ljust(128 * 128, b"\0")
        for whole, here, other, at in ((copies[0], 1, last, 2), (copies[1], last, 1, last - 16384 // sector)):
            fields = b"".join(n.to_bytes(8, "little") for n in (here, other, 34, last - 34)) + bytes(16)
            fields += at.to_bytes(8, "little") + b"".join(
                n.to_bytes(4, "little") for n in (128, 128, crc32(rows))
            )
            head = b"EFI PART\0\0\1\0" + (92).to_bytes(4, "little")
            checksum = crc32(head + bytes(8) + fields) ^ (not whole)
            header = head + checksum.to_bytes(4, "little") + bytes(4) + fields
            disk[here * sector : here * sector + len(header)] = header
            disk[at * sector : at * sector + len(rows)] = rows

    return write
