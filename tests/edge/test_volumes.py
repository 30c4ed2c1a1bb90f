"""edge.volumes: dirty flags in disk images, judged by dosfstools, ntfs-3g and dissect, none of which we wrote."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from dissect.fat.fat import FATFS
from dissect.ntfs import NTFS

sys.path.insert(0, str(Path(__file__).parent))

from volume_images import KINDS, MIB, changed, judge, make, only, run

from qmpemu.edge.volumes import VolumeError


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
