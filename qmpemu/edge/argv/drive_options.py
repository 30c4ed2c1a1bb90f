"""Drives of the old kind at the start: -drive, -hda and its like, read once all options are known, as in QEMU.

-drive file=F,if=virtio        a drive `virtio0`, and a device for it among those of -device
-drive file=F,if=none,id=D     a drive `D` that a -device may name
-hda F, -cdrom F, if=ide       a drive `ide0-hd0`, `ide1-cd0`; the board makes its device (`default_options`)
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.argv.parser import Parser
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.block import old_drives

BOARD_PLACES = {"pc": {"ide": 4, "floppy": 2, "pflash": 2}, "q35": {"ide": 6, "floppy": 2, "pflash": 2}}
"""How many drives of an interface the board can have."""


def finish(parser: Parser) -> None:
    """Make the drives of all options. Raises OptionError."""
    config = parser.config
    for given, typed in parser.drives:
        options = {"snapshot": "on", **given} if parser.temporary else given
        try:
            drive = old_drives.made(options, config.family, config.drives)
        except (OptionError, Refused) as error:
            raise OptionError(f"{typed}: {error}") from None
        config.drives.append(drive)
        config.typed.setdefault("drive", []).append(typed)


def has_no_disks(parser: Parser) -> bool:
    """Whether the board is without its controller of disks."""
    return parser.config.family == "q35" and "sata" in parser.config.switched_off


def check_places(parser: Parser) -> None:
    """Whether the board has a place for each; it is asked once they are open."""
    family = parser.config.family
    board = BOARD_PLACES.get(family, {})
    if has_no_disks(parser):
        board = {**board, "ide": 0}
    for drive, (_, typed) in zip(parser.config.drives, parser.drives, strict=False):
        kind = drive.interface
        if kind in ("none", "virtio"):
            continue
        most = old_drives.units(family, kind)
        index = drive.bus * most + drive.unit if most else drive.unit
        if index >= board.get(kind, 0):
            where = f"if={kind},bus={drive.bus},unit={drive.unit}"
            parser.config.no_place = f"{typed}: machine type does not support {where}"
            return
