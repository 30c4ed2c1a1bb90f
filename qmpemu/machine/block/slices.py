"""A raw node that shows a part of its file (`offset`, `size`): how large it is.

Texts and the order of the checks as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.host import Image

PARTS = ("offset", "size")
SECTOR_BYTES = 512


class Written(int):
    """A number that is told of as it was written (`1M`)."""

    text = ""


def written(number: int, text: str) -> Written:
    """A number by its text."""
    made = Written(number)
    made.text = text
    return made


def is_slice(options: dict[str, object]) -> bool:
    """Whether a node's options say so."""
    return options.get("driver") == "raw" and any(name in options for name in PARTS)


def plain(whole: Image) -> Image:
    """What is seen of all of it: not of which format it is, nor what that is over."""
    return Image(
        virtual_bytes=whole.virtual_bytes,
        file_bytes=whole.file_bytes,
        actual_bytes=whole.actual_bytes,
        cluster_bytes=whole.cluster_bytes,
    )


def cut(whole: Image, options: dict[str, object]) -> Image:
    """What is seen of the part. Raises Refused."""
    size_bytes = whole.virtual_bytes
    offset = int(str(options.get("offset", 0)))
    if offset > size_bytes:
        raise Refused(f"Offset ({offset}) cannot be greater than size of the containing file ({size_bytes})")
    asked = options.get("size")
    if asked is None:
        size = -(-(size_bytes - offset) // SECTOR_BYTES) * SECTOR_BYTES
    else:
        size = int(str(asked))
        if size > size_bytes - offset:
            raise Refused(
                f"The sum of offset ({offset}) and size ({size}) has to be smaller or equal to the  actual size of "
                f"the containing file ({size_bytes})"
            )
        if size % SECTOR_BYTES:
            raise Refused("Specified size is not multiple of 512")
    return Image(virtual_bytes=size, file_bytes=whole.file_bytes, actual_bytes=whole.actual_bytes)
