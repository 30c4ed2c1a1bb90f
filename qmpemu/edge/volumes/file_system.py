"""What a file system says of itself: its kind, name and number, and the bits that make it dirty."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.volumes.image import Image


class Flag:
    """One bit of an image that says whether a volume is dirty.

    offset: of its byte in the image. dirty_is: 1 if the bit is set on a dirty volume, 0 if on a clean one.
    decides: readers go by this one; the others are copies.
    """

    __slots__ = ("decides", "dirty_is", "mask", "offset")

    def __init__(self, offset: int, mask: int, *, dirty_is: int, decides: bool = True) -> None:
        self.offset = offset
        self.mask = mask
        self.dirty_is = dirty_is
        self.decides = decides

    def is_dirty(self, image: Image) -> bool:
        """What this bit says."""
        return bool(image.read(self.offset, 1)[0] & self.mask) == bool(self.dirty_is)

    def change(self, image: Image, dirty: bool) -> tuple[int, int]:
        """The byte to write, with its offset, for the bit to say so; the other seven bits stay."""
        rest = image.read(self.offset, 1)[0] & ~self.mask
        return self.offset, rest | self.mask if dirty == bool(self.dirty_is) else rest


class FileSystem:
    """A file system of an image. flags: in the order in which they are set; they are cleared in the reverse order."""

    __slots__ = ("flags", "kind", "label", "serial")

    def __init__(self, kind: str, label: str, serial: int, flags: list[Flag]) -> None:
        self.kind = kind
        self.label = label
        self.serial = serial
        self.flags = flags
