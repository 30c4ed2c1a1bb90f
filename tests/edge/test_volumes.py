"""edge.volumes: dirty flags in disk images, judged by dosfstools, ntfs-3g and dissect, none of which we wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID
from zlib import crc32

import pytest
from dissect.fat.fat import FATFS
from dissect.ntfs import NTFS
from dissect.volume.disk import Disk
from hypothesis import event, given, settings
from hypothesis import strategies as st

from qmpemu.edge.volumes import Volume, VolumeError, find

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


@pytest.mark.parametrize("kind", KINDS)
def test_forced_is_dirty_and_soft_is_clean(kind: str, tmp_path: Path) -> None:
    """Marked dirty the tools call a volume dirty, marked clean they call it clean and it is what it was before."""
    path = make(tmp_path / "disk.img", kind)
    before, volume = path.read_bytes(), only(path)
    assert (volume.kind, volume.offset_bytes, volume.size_bytes) == (kind.split(",")[0], 0, 34 * MIB)
    assert volume.label.upper() == "DATEN"
    assert not volume.dirty and not judge(path, kind)
    volume.mark(True)
    assert volume.dirty and only(path).dirty and judge(path, kind)
    assert len(changed(before, path)) == (2 if volume.kind == "ntfs" or "one" in kind else 3)
    volume.mark(False)
    assert not volume.dirty and not judge(path, kind)
    assert changed(before, path) == []


def test_dissect_sees_the_flags(tmp_path: Path) -> None:
    """Independent readers find the flags where the standards say: $VOLUME_INFORMATION, and bit 27 of FAT[1]."""
    ntfs, fat = make(tmp_path / "ntfs.img", "ntfs"), make(tmp_path / "fat.img", "fat32")
    for dirty in (True, False):
        only(ntfs).mark(dirty)
        only(fat).mark(dirty)
        with ntfs.open("rb") as file:
            [information] = NTFS(file).mft.get(3).attributes[0x70]
            assert information.data()[10:12] == bytes((dirty, 0))
        with fat.open("rb") as file:
            assert FATFS(file).fat.get(1) == (0x07FFFFFF if dirty else 0x0FFFFFFF)


def test_ntfs_bytes_belong_to_mft_and_mirror(tmp_path: Path) -> None:
    """ntfscluster says that the two bytes that change are $MFT's and $MFTMirr's; a file's content is unharmed."""
    path = make(tmp_path / "disk.img", "ntfs")
    (tmp_path / "text").write_text("what Windows kept\n")
    assert run("ntfscp", path, tmp_path / "text", "kept.txt")[0] == 0
    before = path.read_bytes()
    only(path).mark(True)
    owners = [
        run("ntfscluster", "-f", "-c", f"{at // 4096}-{at // 4096}", path)[1] for at in changed(before, path)
    ]
    assert ["/$MFT/$DATA" in owners[0], "/$MFTMirr/$DATA" in owners[1]] == [True, True]
    assert "what Windows kept" in run("ntfscat", "-f", path, "kept.txt")[1]


class Killed(BaseException):
    """The process ends here."""


def kill_after(writes: int, patch: pytest.MonkeyPatch) -> None:
    """Let that many writes through, each of one byte, and end the process at the next."""
    real, left = os.pwrite, iter(range(writes))

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        assert len(data) == 1
        if next(left, None) is None:
            raise Killed
        return real(fd, data, offset)

    patch.setattr(os, "pwrite", pwrite)


@pytest.mark.parametrize(("kind", "writes"), [("ntfs", 1), ("fat32", 1), ("fat32", 2)])
@pytest.mark.parametrize("dirty", [True, False])
def test_killed_between_two_writes(
    kind: str, writes: int, dirty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that is killed between two of its writes leaves a dirty volume, and the next mark mends it."""
    path = make(tmp_path / "disk.img", kind)
    volume = only(path)
    volume.mark(not dirty)
    with monkeypatch.context() as patch:
        kill_after(writes, patch)
        with pytest.raises(Killed):
            volume.mark(dirty)
    assert only(path).dirty
    _readable_after_a_kill(path, tmp_path / "copy.img", kind)
    only(path).mark(dirty)
    assert judge(path, kind) == dirty


def _readable_after_a_kill(path: Path, copy: Path, kind: str) -> None:
    """dissect reads it as it is; of the checkers, fsck.vfat calls it dirty and ntfsfix mends it."""
    shutil.copyfile(path, copy)
    with copy.open("rb") as file:
        assert kind == "fat32" or NTFS(file).volume_name == "Daten"
        assert kind == "ntfs" or FATFS(file).volume_label == "DATEN"
    if kind == "fat32":
        assert "Dirty bit is set" in run("fsck.vfat", "-n", copy)[1]
    else:
        assert "$MFTMirr does not match $MFT (record 3)" in run("ntfsinfo", "-f", "-m", copy)[1]
        assert run("ntfsfix", copy)[0] == 0
        assert "Volume Flags: 0x0001" in run("ntfsinfo", "-f", "-m", copy)[1]


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


@pytest.mark.parametrize(
    ("write", "sector"),
    [(mbr, 512), (gpt(512), 512), (gpt(4096), 4096), (gpt(512, (True, False)), 512)],
    ids=["mbr with logical drives", "gpt", "gpt 4Kn", "gpt, second copy damaged"],
)
def test_partitions(write: Callable[..., None], sector: int, tmp_path: Path) -> None:
    """Volumes are found where dissect sees partitions; a mark changes one volume, as the tools judge, and no other."""
    kinds = ["ntfs", "fat32", "ntfs, 4Kn"]
    parts = [(MIB * (1 + 40 * number), 34 * MIB) for number in range(3)]
    disk, path = bytearray(122 * MIB), tmp_path / "disk.img"
    for kind, (at, size) in zip(kinds, parts, strict=True):
        disk[at : at + size] = make(tmp_path / "part.img", kind).read_bytes()
    write(disk, parts)
    path.write_bytes(disk)
    with path.open("rb") as file:
        seen = [part.offset for part in Disk(file, sector).partitions if part.type != 0x0F]
    volumes = find(str(path))
    assert [(volume.offset_bytes, volume.size_bytes) for volume in volumes] == parts
    assert sorted(seen) == [
        at for at, _ in parts
    ]  # dissect.volume 3.18 sees GPT partitions a sector too short
    assert [volume.kind for volume in volumes] == ["ntfs", "fat32", "ntfs"]
    for volume, kind in zip(volumes, kinds, strict=True):
        before = path.read_bytes()
        volume.mark(True)
        end = volume.offset_bytes + volume.size_bytes
        assert all(volume.offset_bytes <= at < end for at in changed(before, path))
        (tmp_path / "part.img").write_bytes(path.read_bytes()[volume.offset_bytes : end])
        assert judge(tmp_path / "part.img", kind)


def test_second_gpt(tmp_path: Path) -> None:
    """A GPT whose first copy is damaged is read from its second; if both are, that is one sentence."""
    volume = make(tmp_path / "part.img", "ntfs").read_bytes()
    for sector in (512, 4096):
        for second in (True, False):
            disk, path = bytearray(40 * MIB), tmp_path / "disk.img"
            disk[MIB : MIB + len(volume)] = volume
            gpt(sector, (False, second))(disk, [(MIB, len(volume))])
            path.write_bytes(disk)
            if second:
                assert only(path).offset_bytes == MIB
            else:
                with pytest.raises(VolumeError, match="both copies of its GPT are damaged"):
                    find(str(path))


def test_flag_in_the_place_of_the_update_sequence_number(tmp_path: Path) -> None:
    """A flag whose place in its record holds the update sequence number is changed in the array behind the head."""
    path = make(tmp_path / "disk.img", "ntfs")
    disk = bytearray(path.read_bytes())
    for at in (4 * 4096 + 3 * 1024, len(disk) // 8192 * 4096 - 4096 + 3 * 1024):
        record = disk[at : at + 1024]
        assert record[0x168] == 0x60 and record[0x190] == 0x70 and record[0x1B8] == 0x80
        name, information, data = record[0x168:0x190], record[0x190:0x1B8], record[0x1B8:0x1D0]
        name[4:8], information[4:8], information[0x14] = b"\x70\0\0\0", b"\x30\0\0\0", 0x1C
        information = information[:0x18] + bytes(4) + information[0x18:] + bytes(4)
        attributes = (name.ljust(0x70, b"\0") + information + data + b"\xff" * 4).ljust(512 + 0x98 - 2, b"\0")
        attributes[0x1FE - 0x168 : 0x200 - 0x168] = record[0x1FE:0x200]
        record[0x168:0x3FE] = attributes
        record[0x18:0x1C] = (0x228).to_bytes(4, "little")
        disk[at : at + 1024] = record
    path.write_bytes(disk)
    assert not judge(path, "ntfs")
    only(path).mark(True)
    assert judge(path, "ntfs")
    assert [at % 1024 for at in changed(bytes(disk), path)] == [0x32, 0x32]


def test_mirror_in_disorder_is_left_alone(tmp_path: Path) -> None:
    """A mirror that holds no record of $Volume is not written; $MFT alone decides."""
    path = make(tmp_path / "disk.img", "ntfs")
    disk = bytearray(path.read_bytes())
    at = disk.index(b"FILE", 16 * MIB) + 3 * 1024
    disk[at : at + 4] = b"BAAD"
    path.write_bytes(disk)
    only(path).mark(True)
    assert only(path).dirty and len(changed(bytes(disk), path)) == 1


@pytest.mark.parametrize("kind", ["ntfs", "fat32"])
def test_volume_that_was_replaced(kind: str, tmp_path: Path) -> None:
    """A volume that was formatted anew after it was found is not marked: the sentence says so."""
    path = make(tmp_path / "disk.img", "ntfs")
    volume = only(path)
    disk = bytearray(make(path, kind).read_bytes())
    disk[0x48] ^= 1  # NTFS' serial number: mkntfs gives the same one within a second
    path.write_bytes(disk)
    with pytest.raises(VolumeError, match="the ntfs volume at byte 0 is no longer there"):
        volume.mark(True)
    assert changed(bytes(disk), path) == []


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
