"""edge.volumes: where the volumes of a partitioned disk image are, as dissect sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dissect.volume.disk import Disk

sys.path.insert(0, str(Path(__file__).parent))

from volume_images import MIB, changed, gpt, judge, make, mbr, only

from qmpemu.edge.volumes import VolumeError, find


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
