"""The dirty flags of the volumes in a raw disk image, read, set and cleared in the image itself.

    find(path) ─> whole image, MBR or GPT ─> FAT32 or NTFS? ─> [Volume]
    volume.mark(True)    the guest mounted it        volume.mark(False)    the guest shut down cleanly

So a forced stop leaves an image that `fsck.vfat`, `ntfsinfo` and a real Windows find dirty, and a soft one leaves it
clean, without a byte of difference from before (facts: windows-acpi 10).

Nothing but the flags' bytes is ever written: `volume.py` says what a kill at any moment can leave behind.
"""

from __future__ import annotations

from qmpemu.edge.volumes.finder import find
from qmpemu.edge.volumes.image import VolumeError
from qmpemu.edge.volumes.volume import Volume

__all__ = ["Volume", "VolumeError", "find"]
