"""Memory that devices bring along: video memory, which a dump shows, and expansion ROMs, which travel as RAM too.

Measured on QEMU 7.2 (query-migrate's `total`, dumps).
"""

from __future__ import annotations

from qmpemu.machine.devices.regions import QXL, qxl_sizes, qxl_wide_bytes, rounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.machine.devices.table import Device

KIB, MIB = 1 << 10, 1 << 20
VIDEO_MIB = {
    "VGA": 16,
    "secondary-vga": 16,
    "ati-vga": 16,
    "isa-vga": 8,
    "cirrus-vga": 4,
    "isa-cirrus-vga": 4,
    "virtio-vga": 8,
    "vmware-svga": 16,
}
"""What an adapter has of its own where `vgamem_mb` says nothing."""
BEHIND_BYTES = {"vmware-svga": 64 * KIB, "qxl-vga": 8 * KIB, "qxl": 8 * KIB}
"""Memory beside the screen's: its commands, its list of modes."""
ROM_BYTES = {
    **dict.fromkeys(("VGA", "ati-vga", "cirrus-vga", "virtio-vga", "vmware-svga", "qxl-vga"), 64 * KIB),
    "bochs-display": 32 * KIB,
    **dict.fromkeys(("e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"), 256 * KIB),
    **dict.fromkeys(
        (f"virtio-net-pci{kind}" for kind in ("", "-transitional", "-non-transitional")), 256 * KIB
    ),
    "i82550": 128 * KIB,
}
OTHER_BYTES = {"tpm-crb": 8 * KIB, "tpm-tis": 4 * KIB}
"""What of a TPM is RAM: its commands' area, and that of the physical presence interface."""
NO_ROM = (("rombar", 0), ("rombar", "0"), ("romfile", ""))


def adapter_bytes(devices: Iterable[Device]) -> int:
    """Video memory and ROMs of `devices`."""
    total = 0
    for device in devices:
        total += video_bytes(device) + OTHER_BYTES.get(device.kind, 0)
        if not any(device.values.get(name) == value for name, value in NO_ROM):
            total += ROM_BYTES.get(device.kind, 0)
    return total


def video_bytes(device: Device) -> int:
    """Video memory that a device brings along, or 0; sizes are rounded up to a power of two."""
    kind, values = device.kind, device.values
    behind = BEHIND_BYTES.get(kind, 0)
    if kind in QXL:
        sizes = qxl_sizes(values)
        return sizes["ram_size"] + max(sizes["vram_size"], qxl_wide_bytes(values)) + behind
    if kind == "bochs-display":
        return rounded(int(str(values.get("vgamem", 16 * MIB))))
    if kind not in VIDEO_MIB:
        return 0
    return rounded(int(str(values.get("vgamem_mb", VIDEO_MIB[kind]))) * MIB) + behind
