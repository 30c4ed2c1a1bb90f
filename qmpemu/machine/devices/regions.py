"""Sizes of a PCI function's regions that follow from its options: video memory, shared memory, no ROM.

Measured on QEMU 7.2. A size is rounded up to a power of two.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from qmpemu.machine.devices.table import Device

MIB = 1 << 20
ROM_BAR = 6
MSIX_BAR = 1
"""Of a virtio device: where its interrupt vectors are, if it has any."""
VIDEO = {"VGA": (0, "vgamem_mb"), "secondary-vga": (0, "vgamem_mb"), "vmware-svga": (1, "vgamem_mb")}
"""Adapter -> the region that is its memory, and the option in MiB."""
QXL = ("qxl", "qxl-vga")
QXL_BYTES = 64 * MIB
QXL_WIDE = 4
UNSET = (0xFFFF_FFFF, None, "4294967295")


LONG_BY_SWITCH, LONG_BY_VALUE = ("mq", "rss", "hash"), frozenset(("host_mtu", "speed"))
"""What makes the configuration of a network card longer than its I/O ports are else."""
LONG_PORTS = 64
OF_USE = (True, "on", "yes", "true", "y")


def sized(device: Device, regions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The recorded regions of its type as those of this device."""
    values = device.values
    if values.get("rombar") in (0, "0"):
        regions = [each for each in regions if each["bar"] != ROM_BAR]
    if device.kind in VIDEO:
        bar, option = VIDEO[device.kind]
        if option in values:
            regions = _with(regions, bar, rounded(_number(values, option) * MIB))
    elif device.kind == "bochs-display" and "vgamem" in values:
        regions = _with(regions, 0, rounded(_number(values, "vgamem")))
    elif device.kind in QXL:
        regions = _qxl(values, regions)
    elif device.kind == "ivshmem-plain" and "size" in values:
        regions = _with(regions, 2, rounded(_number(values, "size")))
    if device.kind.startswith("virtio-net") and _is_long(values):
        regions = _with(regions, 0, LONG_PORTS)
    if device.kind.startswith("virtio") and _number(values, "vectors") > 0:
        regions = _with(regions, MSIX_BAR, vectors_size(_number(values, "vectors")))
    elif device.kind == "pci-testdev" and _number(values, "membar"):
        regions = [*regions, _wide(2, rounded(_number(values, "membar")))]
    return regions


def _is_long(values: Mapping[str, Any]) -> bool:
    return bool(LONG_BY_VALUE & values.keys()) or any(values.get(name) in OF_USE for name in LONG_BY_SWITCH)


def qxl_sizes(values: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that a QXL adapter settles on, by the options that it shows them as."""
    frame = rounded(_number(values, "vgamem_mb", 16) * MIB)
    ram = max(_bytes(values, "ram_size", "ram_size_mb"), 2 * frame)
    return {"ram_size": rounded(ram), "vram_size": rounded(_bytes(values, "vram_size", "vram_size_mb"))}


def qxl_wide_bytes(values: Mapping[str, Any]) -> int:
    """What is asked for of the area above 4 GiB, of which the second one is a part."""
    asked = values.get("vram64_size_mb")
    return 0 if asked in UNSET else rounded(int(str(asked)) * MIB)


def _qxl(values: Mapping[str, Any], regions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two areas below 4 GiB, and one above if it is to be larger than the second."""
    sizes, wide = qxl_sizes(values), qxl_wide_bytes(values)
    regions = _with(_with(regions, 0, sizes["ram_size"]), 1, sizes["vram_size"])
    if wide <= sizes["vram_size"]:
        return regions
    below = [each for each in regions if each["bar"] < QXL_WIDE]
    return [*below, _wide(QXL_WIDE, wide), *(each for each in regions if each["bar"] > QXL_WIDE)]


def _wide(bar: int, size: int) -> dict[str, Any]:
    """A region that may lie above 4 GiB."""
    area = {"prefetch": True, "mem_type_64": True, "bar": bar}
    return {**area, "size": size, "address": -1, "type": "memory"}


def _bytes(values: Mapping[str, Any], in_bytes: str, in_mib: str) -> int:
    if values.get(in_mib) not in UNSET:
        return _number(values, in_mib) * MIB
    return _number(values, in_bytes, QXL_BYTES)


def _with(regions: list[dict[str, Any]], bar: int, size: int) -> list[dict[str, Any]]:
    return [{**each, "size": size} if each["bar"] == bar else each for each in regions]


def _number(values: Mapping[str, Any], name: str, default: int = 0) -> int:
    return int(str(values.get(name, default)))


def vectors_size(count: int) -> int:
    """The region in which a virtio function has its interrupt vectors, and behind them which of them wait."""
    waiting = (count + 63) // 64 * 8
    return rounded(max(4096, max(2048, 16 * count) + waiting))


def rounded(size: int) -> int:
    """The next power of two."""
    return 1 << max(0, size - 1).bit_length()
