"""What of a machine is dumped: ranges of memory, and a note of each processor.

Sources: facts/libvirt.md (virDomainCoreDump), measured on QEMU 7.2; ELF core notes as in the System V ABI.
"""

from __future__ import annotations

from struct import pack

from qmpemu.machine.devices.adapter_memory import VIDEO_BYTES
from qmpemu.machine.wiring import ram_split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.machine import Machine

KIB, MIB = 1 << 10, 1 << 20
ABOVE_4G = 1 << 32
FIRMWARE = (ABOVE_4G - 256 * KIB, 256 * KIB)
HOLE = (640 * KIB, 768 * KIB)
"""Where a display adapter is seen instead of memory."""
ADAPTERS = ("VGA", "cirrus-vga", "qxl-vga", "vmware-svga", "virtio-vga")
"""Those that are seen there."""
VIDEO_AT = 0xFD00_0000
"""Where the firmware puts the first adapter's memory; those of others lie below."""
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
    parts = ((0, low_bytes), FIRMWARE, (ABOVE_4G, high_bytes))
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
    displays: list[str] = []
    displays += [device.kind for device in machine.devices.all if device.kind in VIDEO_BYTES]
    found = [(0, low_bytes)]
    if any(kind.startswith(ADAPTERS) for kind in displays):
        found = [(0, HOLE[0]), (HOLE[1], low_bytes - HOLE[1])]
    if machine.clock.now_ns:  # the firmware has placed it
        found += _video(displays)
    found.append(FIRMWARE)
    if high_bytes:
        found.append((ABOVE_4G, high_bytes))
    return found


def _video(displays: list[str]) -> list[Range]:
    found: list[Range] = []
    end = VIDEO_AT + VIDEO_BYTES["VGA"]
    for kind in displays:
        size = VIDEO_BYTES.get(kind, 0)
        end = (end - size) // MIB * MIB
        found.insert(0, (end, size))
    return found


def _common(one: Range, other: Range) -> Range:
    first = max(one[0], other[0])
    return first, min(sum(one), sum(other)) - first


def _note(name: bytes, kind: int, description: bytes) -> bytes:
    head = pack("<III", len(name) + 1, len(description), kind)
    return head + name.ljust(8, b"\0") + description
