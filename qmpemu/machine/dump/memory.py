"""What of a machine is dumped: ranges of memory, and a note of each processor.

Sources: facts/libvirt.md (virDomainCoreDump), measured on QEMU 7.2; ELF core notes as in the System V ABI.
"""

from __future__ import annotations

from struct import pack

from qmpemu.machine.block.nodes import FLASH
from qmpemu.machine.devices.adapter_memory import video_bytes
from qmpemu.machine.migration.memory import SEABIOS_BYTES
from qmpemu.machine.wiring import ram_split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.machine import Machine

KIB, MIB = 1 << 10, 1 << 20
ABOVE_4G = 1 << 32
HOLE = (640 * KIB, 768 * KIB)
"""Where a display adapter is seen instead of memory."""
ADAPTERS = (
    "VGA",
    "ati-vga",
    "cirrus-vga",
    "isa-cirrus-vga",
    "isa-vga",
    "qxl-vga",
    "vmware-svga",
    "virtio-vga",
)
"""Those that are seen there."""
CIRRUS = (0x1013, 0x00B8)
MEMORY_BARS = {
    (0x1002, 0x5046): (0,),
    CIRRUS: (0,),
    (0x1234, 0x1111): (0,),
    (0x15AD, 0x0405): (1, 2),
    (0x1AF4, 0x1050): (0,),
    (0x1B36, 0x0100): (0, 1, 2),
}
"""Vendor and device of an adapter -> its regions that are memory."""
ISA_VIDEO_AT = 0xE000_0000
"""Where an isa-vga has its memory, whatever firmware does."""
EM_386, EM_X86_64 = 3, 62

Range = tuple[int, int]
"""First address and length, in bytes."""


class NothingToDump(Exception):
    """The text of the refusal."""


def ranges(machine: Machine, begin: int | None, length: int) -> list[Range]:
    """The machine's memory, or what lies from `begin` on for `length` bytes. Raises NothingToDump."""
    found = _all(machine)
    if begin is not None:
        found = [part for each in found if (part := _common(each, (begin, length)))[1] > 0]
    if not found:
        raise NothingToDump("dump: no guest memory to dump")
    return found


def is_mapped(machine: Machine, at: int, length: int) -> bool:
    """Whether there is memory, or what a display adapter shows in its place, at all of these addresses."""
    low_bytes, high_bytes = ram_split(machine.config)
    parts = ((0, low_bytes), _firmware(machine.config), (ABOVE_4G, high_bytes))
    return any(first <= at and at + length <= first + size for first, size in parts)


def processor_notes(machine: Machine) -> bytes:
    """A core note of each processor, then QEMU's own of each; their registers are zero."""
    count = len(machine.devices.processors.present())
    before, behind = (32, 300) if elf_machine(machine) == EM_X86_64 else (24, 116)
    core = (bytes(before) + pack("<I", number) + bytes(behind) for number in range(1, count + 1))
    own = pack("<II", 1, 440) + bytes(432)
    return b"".join(_note(b"CORE", 1, status) for status in core) + _note(b"QEMU", 0, own) * count


def elf_machine(machine: Machine) -> int:
    """The firmware's processor, or that of the 64-bit system that runs."""
    return EM_X86_64 if machine.devices.processors.by_os else EM_386


def _all(machine: Machine) -> list[Range]:
    if machine.config.family == "none":
        return []
    low_bytes, high_bytes = ram_split(machine.config)
    found = [(0, low_bytes)]
    if any(device.kind in ADAPTERS for device in machine.devices.all):
        found = [(0, HOLE[0]), (HOLE[1], low_bytes - HOLE[1])]
    found += [(ISA_VIDEO_AT, video_bytes(each)) for each in machine.devices.all if each.kind == "isa-vga"]
    most = max((video_bytes(each) for each in machine.devices.all if each.kind == "cirrus-vga"), default=0)
    found += sorted(_video(machine.plugging.pci.added(), most))
    if not any(drive.qdev.startswith(FLASH) for drive in machine.blocks.drives):  # a chip is no RAM
        found.append(_firmware(machine.config))
    if high_bytes:
        found.append((ABOVE_4G, high_bytes))
    return found


def _firmware(config: MachineConfig) -> Range:
    size = config.firmware_bytes or SEABIOS_BYTES
    return ABOVE_4G - size, size


def _video(rows: Iterable[dict[str, Any]], cirrus_bytes: int) -> Iterator[Range]:
    """Memory of adapters, where firmware has put it. cirrus_bytes: that one's region is larger than what is in it."""
    for row in rows:
        identity = row["id"]["vendor"], row["id"]["device"]
        memory = MEMORY_BARS.get(identity, ())
        for region in row["regions"]:
            if region["bar"] in memory and region["type"] == "memory" and region["address"] > 0:
                yield region["address"], cirrus_bytes if identity == CIRRUS else region["size"]
        yield from _video(row.get("pci_bridge", {}).get("devices", ()), cirrus_bytes)


def _common(one: Range, other: Range) -> Range:
    first = max(one[0], other[0])
    return first, min(sum(one), sum(other)) - first


def _note(name: bytes, kind: int, description: bytes) -> bytes:
    head = pack("<III", len(name) + 1, len(description), kind)
    return head + name.ljust(8, b"\0") + description
