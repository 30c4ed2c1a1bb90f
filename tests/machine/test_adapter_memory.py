"""Memory beside the guest's: that of adapters, by their options, and of firmware; figures measured on QEMU 7.2."""

from __future__ import annotations

import pytest

from qmpemu.machine.dump.memory import ranges
from qmpemu.machine.migration.progress import Progress
from tests.driven import FIRMWARE, Driven

KIB = 1 << 10
TRAVELS = {
    "": 520,
    "-M q35,acpi=off": 384,
    f"-bios {FIRMWARE}": 520,
    "-bios qboot.rom": 328,
    "-M q35,pflash0=f -blockdev null-co,node-name=f,size=540672": 920,
    "-M none": 0,
    "-device VGA,vgamem_mb=17": 33352,
    "-device bochs-display,vgamem=8388608": 8744,
    "-device cirrus-vga,vgamem_mb=8": 8776,
    "-device vmware-svga,vgamem_mb=32": 33416,
    "-device qxl-vga,ram_size=67108864,vram_size=33554432,vgamem_mb=16": 98896,
    "-device qxl-vga,vram64_size_mb=128": 197200,
    "-device qxl-vga -device qxl,vgamem_mb=64": 131664 + 196616,
    "-device secondary-vga,vgamem_mb=64": 66056,
    "-device isa-vga": 8712,
    "-device ati-vga": 16968,
}
"""Command line -> KiB that a migration goes over, without the guest's memory."""


def machine(line: str) -> Driven:
    return Driven(f"-nodefaults -m 64 {line}", QMPEMU_GUEST="none")


@pytest.mark.parametrize("line", TRAVELS)
def test_what_travels(line: str) -> None:
    """query-migrate's `total`."""
    progress = Progress(machine(line).vm.machine, set())
    assert progress.memory_bytes // KIB - 64 * KIB == TRAVELS[line]


DUMPED = {
    "-device VGA,vgamem_mb=8": [(0xFE00_0000, 0x80_0000)],
    "-device isa-vga": [(0xE000_0000, 0x80_0000)],
    "-device vmware-svga": [(0xFD00_0000, 0x100_0000), (0xFE00_0000, 0x1_0000)],
    "-device qxl-vga,vram_size_mb=32": [
        (0xF800_0000, 0x400_0000),
        (0xFC00_0000, 0x200_0000),
        (0xFE01_0000, 0x2000),
    ],
    "-device cirrus-vga -device virtio-gpu-pci -device e1000": [(0xFC00_0000, 0x40_0000)],
    "-M q35 -device pcie-root-port,id=p,chassis=1 -device VGA,bus=p": [(0xFD00_0000, 0x100_0000)],
}
"""Command line -> ranges of video memory in a dump, after firmware has run."""


@pytest.mark.parametrize("line", DUMPED)
def test_video_memory_in_a_dump(line: str) -> None:
    """It is where firmware has put it, as query-pci shows."""
    driven = machine(line)
    driven.run(1)
    found = ranges(driven.vm.machine, None, 0)
    assert found[-1] == ((4 << 30) - 256 * KIB, 256 * KIB)
    assert [each for each in found[:-1] if each[0] >= 64 << 20] == DUMPED[line]


def test_the_firmware_of_a_file_in_a_dump() -> None:
    """Its own size, at the end of the address space's first 4 GiB."""
    driven = machine("-bios bios.bin")
    assert ranges(driven.vm.machine, None, 0)[-1] == ((4 << 30) - 128 * KIB, 128 * KIB)
