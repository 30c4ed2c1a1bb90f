"""Finds the volumes of an image.

    GPT, if its header is whole ─> its partitions
    else a file system from the first byte on ─> the image is one volume
    else an MBR ─> its partitions

GPT comes first because tools that write one leave the first bytes of the sector alone, with the file system that the
disk may have held before; the header cannot have survived a formatting.
"""

from __future__ import annotations

import os

from qmpemu.edge.volumes import partitions
from qmpemu.edge.volumes.image import Image
from qmpemu.edge.volumes.volume import Volume, file_system


def find(path: str) -> list[Volume]:
    """The FAT32 and NTFS volumes of the raw image `path`, in the order of their places.

    An image without any gives an empty list, and so do exFAT, FAT16, BitLocker and what Windows does not know.
    Raises VolumeError for what is no readable raw image, and if one of the volumes or the partition table is damaged:
    better no volume of such a disk than a byte written to the wrong place. Never writes.
    """
    path = os.path.abspath(path)  # the emulator may change its directory afterwards (-daemonize)
    with Image(path) as image:
        return [
            Volume(path, extent, found)
            for extent in _extents(image)
            if (found := file_system(image, extent)) is not None
        ]


def _extents(image: Image) -> list[partitions.Extent]:
    """Where volumes may lie, each place once."""
    extents = partitions.of_gpt(image)
    if extents is None:
        whole = partitions.Extent(0, image.size_bytes)
        extents = [whole] if file_system(image, whole) else partitions.of_mbr(image)
    places = {extent.offset_bytes: extent for extent in extents}
    return [places[offset] for offset in sorted(places)]
