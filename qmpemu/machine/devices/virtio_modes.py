"""Which virtio a PCI function speaks: the old one by ports, the modern one by memory, or both (virtio 1.1, 4.1.2)."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.devices.table import Device

VENDOR, TRANSITIONAL, MODERN, MODERN_SUBSYSTEM = 0x1AF4, range(0x1000, 0x1040), 0x1040, 0x1100
MODERN_BAR, NOTIFY_BAR = 4, 2
ON = (True, "on")


def offers_old(device: Device) -> bool:
    """Whether it speaks the old one: not behind a PCI Express port, unless told otherwise."""
    told = device.values.get("disable-legacy", "auto")
    if told != "auto":
        return told not in ON
    return device.bus is None or not device.bus.is_port


def check(device: Device) -> None:
    """Whether it speaks any. Raises Refused."""
    knows = device.recorded is not None and "disable-modern" in device.recorded.kinds()
    if knows and device.values.get("disable-modern") in ON and not offers_old(device):
        raise Refused(
            "device cannot work as neither modern nor legacy mode is enabled",
            "Set either disable-modern or disable-legacy to off",
        )


def row(device: Device, recorded: dict[str, Any]) -> dict[str, Any]:
    """A row of query-pci that was recorded of a function that speaks both, as this device has it."""
    identity, regions = recorded["id"], recorded["regions"]
    if identity["vendor"] != VENDOR or identity["device"] not in TRANSITIONAL:
        return recorded
    if device.values.get("disable-modern") in ON:
        regions = [region for region in regions if region["bar"] != MODERN_BAR]
    elif device.values.get("modern-pio-notify") in ON:
        port = {"bar": NOTIFY_BAR, "size": 4, "address": -1, "type": "io"}
        regions = sorted([*regions, port], key=lambda each: int(each["bar"]))
    if offers_old(device):
        return {**recorded, "regions": regions}
    modern = {"device": MODERN + identity["subsystem"], "subsystem": MODERN_SUBSYSTEM}
    regions = [region for region in regions if region["bar"] != 0 or region["type"] != "io"]
    return {**recorded, "id": {**identity, **modern}, "regions": regions}
