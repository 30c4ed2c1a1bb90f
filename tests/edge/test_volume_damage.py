"""edge.volumes: images that are foreign, damaged or made to mislead are left alone, with one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from volume_images import MIB, changed, entry, gpt, make, mbr, run, table

from qmpemu.edge.volumes import VolumeError, find


def spoiled(kind: str, at: int, new: bytes) -> Callable[[Path], None]:
    """A volume with other bytes at `at`."""

    def write(path: Path) -> None:
        disk = bytearray(make(path, kind).read_bytes())
        disk[at : at + len(new)] = new
        path.write_bytes(disk)

    return write


def of_qemu(form: str) -> Callable[[Path], None]:
    """An image as qemu-img makes it."""
    return lambda path: assert_made(run("qemu-img", "create", "-q", "-f", form, path, "1M"))


def assert_made(done: tuple[int, str]) -> None:
    """A tool succeeded."""
    assert done[0] == 0, done[1]


def cut(kind: str, size: int) -> Callable[[Path], None]:
    """A volume whose image ends too soon."""
    return lambda path: os.truncate(make(path, kind), size)


def circle(path: Path) -> None:
    """Two EBRs, each the next one of the other."""
    first, second = (table(bytes(16), entry(0x0F, number, 1)) for number in (1, 0))
    path.write_bytes(table(entry(0x0F, 1, 2)) + first + second)


def backwards(path: Path) -> None:
    """A GPT, whole, with a partition that ends before it begins."""
    disk = bytearray(2 * MIB)
    gpt(512)(disk, [(MIB, -MIB // 2)])
    path.write_bytes(disk)


MFT = 4 * 4096
RUNS = MFT + 0x140
SAME_CLUSTERS_TWICE = bytes.fromhex("110220 117f00 00")
FOREIGN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "zeros": lambda path: path.write_bytes(bytes(MIB)),
    "text": lambda path: path.write_text("neither disk nor volume\n" * 100),
    "exfat": spoiled("fat32", 3, b"EXFAT   " + bytes(53)),
    "fat16": lambda path: (
        path.touch(),
        os.truncate(path, 34 * MIB),
        assert_made(run("mkfs.vfat", "-F", "16", path)),
    ),
    "bitlocker": spoiled("fat32", 3, b"-FVE-FS-"),
    "bitlocker to go": spoiled("fat32", 424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")),
    "partition in sector 0": lambda path: path.write_bytes(table(entry(0x17, 0, 9)) + bytes(9 * 512)),
}
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file or directory"),
    "folder": (lambda path: path.mkdir(), "it is not a regular file"),
    "fifo": (os.mkfifo, "it is not a regular file"),
    **{
        form: (of_qemu(form), "only raw images can be searched")
        for form in ("qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed")
    },
    "fat32 truncated": (cut("fat32", MIB), "truncated"),
    "ntfs truncated": (cut("ntfs", MIB), "truncated"),
    "partition truncated": (lambda path: path.write_bytes(table(entry(7, 1, 99)) + bytes(512)), "truncated"),
    "gpt entry backwards": (backwards, "ends before it begins"),
    "logical drives in a circle": (circle, "circle"),
    "fat32 without table": (
        spoiled("fat32", 32 * 512, bytes(4)),
        "a table of the FAT32 volume at byte 0 is corrupt",
    ),
    "fat32 without root": (spoiled("fat32", 44, bytes(4)), "contradicts itself"),
    "ntfs without mft": (spoiled("ntfs", MFT, bytes(4096)), "its record 0 is none"),
    "ntfs torn": (spoiled("ntfs", MFT + 3 * 1024 + 510, b"\xaa\xaa"), "its record 3 is torn"),
    "ntfs attribute of no length": (spoiled("ntfs", MFT + 3 * 1024 + 0x3C, bytes(4)), "a damaged attribute"),
    "ntfs with runs in a circle": (
        spoiled("ntfs, records straddle clusters", RUNS, SAME_CLUSTERS_TWICE),
        "its record 3 is another file's",
    ),
    "ntfs with damaged runs": (spoiled("ntfs", RUNS, b"\xff"), "damaged runs"),
    "ntfs with odd clusters": (spoiled("ntfs", 13, b"\x03"), "no size of clusters"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_of_ours(name: str, tmp_path: Path) -> None:
    """An image that holds neither FAT32 nor NTFS has no volumes."""
    FOREIGN[name](tmp_path / "disk.img")
    assert find(str(tmp_path / "disk.img")) == []


@pytest.mark.parametrize("name", BROKEN)
def test_one_sentence(name: str, tmp_path: Path) -> None:
    """What is no raw image or is damaged is refused in one sentence that begins with its path."""
    path = tmp_path / "disk.img"
    write, sentence = BROKEN[name]
    write(path)
    with pytest.raises(VolumeError) as caught:
        find(str(path))
    assert str(caught.value).startswith(f"{path}: ") and sentence in str(caught.value)
    assert "\n" not in str(caught.value) and ". " not in str(caught.value)


@pytest.fixture(scope="module")
def small_disks(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, list[int]]]:
    """Images, each with the sectors that are read to find and to mark its volumes."""
    folder, size = tmp_path_factory.mktemp("small"), 5 * MIB // 4
    whole = [make(folder / "part.img", kind, size).read_bytes() for kind in ("ntfs", "fat32")]
    disks, parts = [bytearray(disk) for disk in whole], [(MIB // 16, size), (MIB * 5 // 2, size)]
    for write in (mbr, gpt(512), gpt(4096)):
        disk = bytearray(4 * MIB)
        for (at, _), volume in zip(parts, whole, strict=True):
            disk[at : at + size] = volume
        write(disk, parts)
        disks.append(disk)
    return [(bytes(disk), _sectors_read(folder / "disk.img", disk)) for disk in disks]


def _sectors_read(path: Path, disk: bytes) -> list[int]:
    sectors, real = set[int](), os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        sectors.update(range(offset // 512, (offset + length + 511) // 512))
        return real(fd, length, offset)

    path.write_bytes(disk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", pread)
        for volume in find(str(path)):
            volume.mark(True)
    return sorted(sectors)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file for one damaged image after the other; none of them need reach the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda fd: None)
        yield tmp_path_factory.mktemp("damaged") / "disk.img"


PLACES = st.tuples(
    st.integers(0, 1 << 16), st.integers(0, 511), st.binary(min_size=1, max_size=16) | st.just(bytes(512))
)


@settings(max_examples=150, deadline=2000)
@given(
    which=st.integers(0, 4),
    places=st.lists(PLACES, min_size=1, max_size=4),
    end=st.none() | st.integers(0, MIB),
)
def test_random_damage(
    small_disks: list[tuple[bytes, list[int]]],
    damaged: Path,
    which: int,
    places: list[tuple[int, int, bytes]],
    end: int | None,
) -> None:
    """However the sectors that count are damaged: volumes or a VolumeError, soon; and flags alone are written."""
    disk, sectors = small_disks[which]
    spoilt = bytearray(disk)
    for sector, at, new in places:
        start = sectors[sector % len(sectors)] * 512 + at
        spoilt[start : start + len(new)] = new[: len(spoilt) - start]
    damaged.write_bytes(spoilt[: len(spoilt) if end is None else -end or None])
    before, volumes = damaged.read_bytes(), []
    try:
        volumes = find(str(damaged))
        for volume in volumes:
            volume.mark(not volume.dirty)
    except VolumeError:
        event("refused")
    after = damaged.read_bytes()
    differences = [before[at] ^ after[at] for at in changed(before, damaged)]
    assert len(differences) <= 3 * len(volumes) and set(differences) <= {0x01, 0x08}


def test_import_is_cheap() -> None:
    """Importing the package loads none but its own modules, beyond what every interpreter has loaded."""
    code = "import os, sys; sys.path.insert(0, '.'); import __future__, qmpemu.edge; old = set(sys.modules)"
    status, said = run(
        sys.executable, "-S", "-c", f"{code}; import qmpemu.edge.volumes; print(*set(sys.modules) - old)"
    )
    assert status == 0, said
    assert [name for name in said.split() if not name.startswith("qmpemu.edge.volumes")] == []
