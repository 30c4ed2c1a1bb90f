"""The firmware's flash chips: nodes (-machine pflash0=NODE, as libvirt gives them) and drives (-drive if=pflash).

Texts and their order as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.nodes import FLASH, Drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.qom import Object, Tree

CHIPS = ("pflash0", "pflash1")
ERASE_BYTES = 0x1000
SECTOR_BYTES = 512
MOST_BYTES = 8 << 20
"""Of both chips together."""


def fit(blocks: Blocks, config: MachineConfig) -> None:
    """Put the chips' nodes in, and look whether the machine can start from them. Raises Refused."""
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


def show(tree: Tree, machine: Machine) -> None:
    """Put the chips into the object tree: the firmware is in them, and they are on the board's own bus."""
    from qmpemu.machine.onboard import order_machine
    from qmpemu.machine.qom import Object

    chips = [drive for drive in machine.blocks.drives if drive.qdev.startswith(FLASH)]
    if not chips:
        return
    _, board = tree.find("/machine")
    _, bus = tree.find("/machine/unattached/sysbus")
    board.children["unattached"].children.pop("pc.bios[0]", None)
    after = [(bus.properties[name], bus.values[name]) for name in _children(bus)][1:]
    end = FOUR_GIB
    secure = any(
        each.driver == CHIP and each.value in ("on", "true", "yes", "y") for each in machine.config.globals
    )
    links: list[tuple[str, object]] = []
    for drive in chips:
        name, number = drive.qdev.rpartition("/")[2], drive.qdev[-1]
        size = drive.node.image.virtual_bytes if drive.node is not None else 0
        held = drive.name or (drive.node.name if drive.node is not None else "")
        end -= size
        made = empty()
        made.values.update({"name": name, "drive": held, "num-blocks": size // ERASE_BYTES, "secure": secure})
        region = made.children[f"{name}[0]"] = Object("memory-region")
        region.properties |= {"container": "link<memory-region>", "addr": "uint64", "size": "uint64"}
        region.properties["priority"] = "uint32"
        region.values |= {
            "container": "/machine/unattached/system[0]",
            "addr": end,
            "size": size,
            "priority": 0,
        }
        tree.graft(drive.qdev, made)
        board.properties[f"pflash{number}"], board.values[f"pflash{number}"] = "str", held
        links.append((f"link<{CHIP}>", drive.qdev))
    order_machine(board, machine.config.family)
    for place_, (kind, value) in enumerate([*links, *after], start=1):
        bus.properties[f"child[{place_}]"], bus.values[f"child[{place_}]"] = kind, value


def empty() -> Object:
    """A chip as every board has two of, before it holds anything."""
    from qmpemu.machine.qom import Object

    made = Object(CHIP)
    for row, (kind, value) in ROWS.items():
        made.properties[row], made.values[row] = kind, value
    return made


def _children(bus: Object) -> list[str]:
    return sorted((name for name in bus.properties if name[:6] == "child["), key=lambda name: int(name[6:-1]))


CHIP = "cfi.pflash01"
FOUR_GIB = 4 << 30
ROWS: dict[str, tuple[str, object]] = {
    "parent_bus": ("link<bus>", "/machine/unattached/sysbus"),
    "realized": ("bool", True),
    "hotplugged": ("bool", False),
    "hotpluggable": ("bool", False),
    "id3": ("uint16", 0),
    "id2": ("uint16", 0),
    "secure": ("bool", False),
    "big-endian": ("bool", False),
    "num-blocks": ("uint32", 0),
    "max-device-width": ("uint8", 0),
    "old-multiple-chip-handling": ("bool", False),
    "name": ("str", ""),
    "drive": ("str", ""),
    "sector-length": ("uint64", ERASE_BYTES),
    "device-width": ("uint8", 0),
    "width": ("uint8", 1),
    "id0": ("uint16", 0),
    "id1": ("uint16", 0),
}


def place(chip: str) -> str:
    """The chip's path in the object tree."""
    return FLASH + chip[-1]


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
