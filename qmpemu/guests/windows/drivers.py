"""The virtio drivers of this Windows, as guest-get-devices shows them: Windows' names, one version for all."""

from __future__ import annotations

RED_HAT = 0x1AF4
NAMES = {
    0x1000: "Red Hat VirtIO Ethernet Adapter",
    0x1001: "Red Hat VirtIO SCSI controller",
    0x1002: "VirtIO Balloon Driver",
    0x1003: "VirtIO Serial Driver",
    0x1004: "Red Hat VirtIO SCSI pass-through controller",
    0x1005: "VirtIO RNG Device",
    0x1041: "Red Hat VirtIO Ethernet Adapter",
    0x1042: "Red Hat VirtIO SCSI controller",
    0x1043: "VirtIO Serial Driver",
    0x1044: "VirtIO RNG Device",
    0x1045: "VirtIO Balloon Driver",
    0x1048: "Red Hat VirtIO SCSI pass-through controller",
}
VERSION, DATE_NS = "100.92.104.22900", 1_668_643_200_000_000_000
"""A release of virtio-win of QEMU 7.2's time (U)."""


def devices(pci_ids: tuple[tuple[int, int], ...]) -> list[dict[str, object]]:
    """One row for each device that a driver of `NAMES` serves."""
    return [
        {
            "driver-name": NAMES[device],
            "driver-version": VERSION,
            "driver-date": DATE_NS,
            "id": {"type": "pci", "vendor-id": vendor, "device-id": device},
        }
        for vendor, device in pci_ids
        if vendor == RED_HAT and device in NAMES
    ]
