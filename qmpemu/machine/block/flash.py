"""The firmware's flash chips: nodes (-machine pflash0=NODE, as libvirt gives them) and drives (-drive if=pflash).

Texts and their order as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.nodes import Drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.machine import Machine

CHIPS = ("pflash0", "pflash1")
ERASE_BYTES = 0x1000
SECTOR_BYTES = 512
MOST_BYTES = 8 << 20
"""Of both chips together."""


def fit(machine: Machine) -> None:
    """Put the chips' nodes in, and look whether the machine can start from them. Raises Refused."""
    blocks, config = machine.blocks, machine.config
    chips = {drive.qdev: drive for drive in blocks.drives if drive.old and drive.old.interface == "pflash"}
    typed = dict(zip((drive.id for drive in config.drives), config.typed.get("drive", []), strict=False))
    for chip, name in config.flash.items():
        if name not in blocks.nodes:
            raise Refused(f"Property 'cfi.pflash01.drive' can't find value '{name}'")
        qdev = place(chip)
        if qdev in chips:
            raise Refused(f"{typed[chips[qdev].name]}: clashes with -machine")
        chips[qdev] = Drive(qdev, blocks.nodes[name], removable=False, has_tray=False)
        blocks.drives.append(chips[qdev])
    _check([chips.get(place(chip)) for chip in CHIPS])
    blocks.locks.refresh()


def place(chip: str) -> str:
    """The chip's path in the object tree."""
    return f"/machine/system.flash{chip[-1]}"


def _check(chips: list[Drive | None]) -> None:
    if chips[0] is None and chips[1] is not None:
        raise Refused("pflash1 requires pflash0")
    total_bytes = 0
    for drive in chips:
        if drive is None or drive.node is None:
            continue
        size_bytes = -(-drive.node.image.virtual_bytes // SECTOR_BYTES) * SECTOR_BYTES
        if size_bytes == 0 or size_bytes % ERASE_BYTES:
            raise Refused(
                f"system firmware block device {drive.name} has invalid size {size_bytes}",
                f"{{prefix}}info: its size must be a non-zero multiple of {ERASE_BYTES:#x}",
            )
        total_bytes += size_bytes
        if total_bytes > MOST_BYTES:
            raise Refused(f"combined size of system firmware exceeds {MOST_BYTES} bytes")
