"""A volume in an image, and its dirty flag.

    clean ──mark(True): mounted for writing──> dirty ──mark(False): flushed and dismounted──> clean

What a kill can do. A mark is a few writes of one byte each:

* One byte cannot be torn. After SIGKILL the file holds either the old or the new one; after a power cut the disk holds
  either the old or the new sector, and a sector half old, half new equals one of them, for they differ in one bit.
* No checksum covers the byte. NTFS guards a record of several sectors by a number at the end of each (the update
  sequence); the change stays within one sector and leaves that number alone, so all of them agree before and after.
* Between two of the writes the copies disagree. The flag that decides is the first to be set and the last to be
  cleared: a mark killed there leaves a volume dirty, never clean, and the next `mark` mends the copies.
  FAT32: readable and dirty; fsck.vfat may add that the tables differ. NTFS: $MFT is whole and so is its mirror, but
  ntfs-3g 2022.10 opens no volume whose mirror disagrees, until `mark` or `ntfsfix` mended it (measured). No order of
  the two writes avoids that: two places cannot be written at once. So all bytes are known before the first is
  written, and the writes follow each other directly, 3 microseconds apart.

`mark` returns when the bytes are on the disk: whoever writes down afterwards that a volume is dirty writes the truth.
A power cut before that may leave any of these states, in any order of the writes.
"""

from __future__ import annotations

from qmpemu.edge.volumes import fat32, ntfs
from qmpemu.edge.volumes.image import Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.edge.volumes.file_system import FileSystem, Flag
    from qmpemu.edge.volumes.partitions import Extent


class Volume:
    """A FAT32 or NTFS volume in a raw image.

    kind: "fat32" or "ntfs". offset_bytes, size_bytes: where in the image it lies, the whole partition. label: its name,
    maybe empty. All of them as `find` saw them: the image is opened anew for each look and each mark, and held never.
    """

    __slots__ = ("_extent", "_path", "_serial", "kind", "label", "offset_bytes", "size_bytes")

    def __init__(self, path: str, extent: Extent, found: FileSystem) -> None:
        self._path = path
        self._extent = extent
        self._serial = found.serial
        self.kind = found.kind
        self.label = found.label
        self.offset_bytes = extent.offset_bytes
        self.size_bytes = extent.size_bytes

    def __repr__(self) -> str:
        return f"Volume({self.kind!r}, {self.offset_bytes}, {self.size_bytes}, {self.label!r})"

    @property
    def dirty(self) -> bool:
        """Whether a file system checker would find it dirty. Raises VolumeError if the volume can no longer be read."""
        with Image(self._path) as image:
            return any(flag.is_dirty(image) for flag in self._flags(image) if flag.decides)

    def mark(self, dirty: bool) -> None:
        """Set or clear the flag, with all its copies; on the disk on return. What is so already is not written.

        Raises VolumeError if the volume is no longer there or cannot be written: no byte has changed then, but for
        errors of the medium itself.
        """
        with Image(self._path, writable=True) as image:
            flags = self._flags(image)
            wrong = [flag for flag in flags if flag.is_dirty(image) != dirty]
            changes = [flag.change(image, dirty) for flag in (wrong if dirty else reversed(wrong))]
            for offset, byte in changes:  # nothing else between these: see above
                image.put(offset, byte)
            if changes:
                image.sync()

    def _flags(self, image: Image) -> list[Flag]:
        """Where the flags are now: the image may have been formatted, moved or damaged since."""
        found = file_system(image, self._extent)
        if found is None or (found.kind, found.serial) != (self.kind, self._serial):
            raise image.failure(f"the {self.kind} volume at byte {self.offset_bytes} is no longer there")
        return found.flags


def file_system(image: Image, extent: Extent) -> FileSystem | None:
    """The file system in `extent`, or None if it is none of ours. Raises VolumeError for a damaged one of ours."""
    if extent.size_bytes < 512 or extent.offset_bytes + 512 > image.size_bytes:
        return None
    boot = image.read(extent.offset_bytes, 512)
    return ntfs.read(image, extent, boot) or fat32.read(image, extent, boot)
