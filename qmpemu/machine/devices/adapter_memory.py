"""Memory that adapters bring along: video memory, which a dump shows, and expansion ROMs, which travel as RAM too.

Measured on QEMU 7.2 (query-migrate's `total`, dumps).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.machine.devices.table import Device

KIB, MIB = 1 << 10, 1 << 20
VIDEO_BYTES = {
    "VGA": 16 * MIB,
    "secondary-vga": 16 * MIB,
    "bochs-display": 16 * MIB,
    "cirrus-vga": 4 * MIB,
    "virtio-vga": 8 * MIB,
    "vmware-svga": 16 * MIB + 64 * KIB,
    "qxl-vga": 128 * MIB + 8 * KIB,
    "qxl": 128 * MIB + 8 * KIB,
}
ROM_BYTES = {
    **dict.fromkeys(("VGA", "cirrus-vga", "virtio-vga", "vmware-svga", "qxl-vga"), 64 * KIB),
    "bochs-display": 32 * KIB,
    **dict.fromkeys(("e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"), 256 * KIB),
    **dict.fromkeys(
        (f"virtio-net-pci{kind}" for kind in ("", "-transitional", "-non-transitional")), 256 * KIB
    ),
    "i82550": 128 * KIB,
}
NO_ROM = (("rombar", 0), ("rombar", "0"), ("romfile", ""))


def adapter_bytes(devices: Iterable[Device]) -> int:
    """Video memory and ROMs of `devices`."""
    total = 0
    for device in devices:
        total += VIDEO_BYTES.get(device.kind, 0)
        if not any(device.values.get(name) == value for name, value in NO_ROM):
            total += ROM_BYTES.get(device.kind, 0)
    return total
