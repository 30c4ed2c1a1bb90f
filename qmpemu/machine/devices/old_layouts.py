"""Where regions of PCI functions lie that are as in older versions of QEMU, and what such functions are called.

Options say so, which older machine types set (`compat`). Measured on QEMU 7.2.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.qom import Object

    Row = dict[str, Any]

ON, OFF = (True, "on"), (False, "off")
INTEL_NVME = {"vendor": 0x8086, "device": 0x5845}
NVME_BYTES, NVME_MSIX, NVME_MSIX_BAR = 8192, "/nvme-msix[0]", 4
MODERN_BARS = {"virtio-vga": 2}
"""Where the modern virtio's registers are; of others in 4."""
PAGED_BYTES, PAGED_NOTIFY = 8 << 20, 4 << 20
"""With a page for each queue: of all registers, and of those that tell of work."""
VGA_PARTS = {"common": (0x3FD000, 0x1000), "isr": (0x3FE000, 0x1000), "device": (0x3FF000, 0x1000)}
"""Of an adapter: address and size of the registers before those."""
WIDE_NET = ("host_mtu", "speed", "duplex", "rss", "hash")
"""Options of a network card of which its configuration tells beside what it always does."""
UNSET = (None, 0, -1, False, "off")
PORTS = "/virtio-pci[1]"
EDID = "/edid[0]"
MODERN_PARTS = "/virtio-pci-"


def row(device: Device, told: Row) -> Row:
    """A row of query-pci."""
    values, kind = device.values, device.kind
    if kind == "nvme":
        if values.get("use-intel-id") in ON:
            told = {**told, "id": {**told["id"], **INTEL_NVME}}
        if values.get("msix-exclusive-bar") in ON:
            vectors = {"prefetch": False, "mem_type_64": False, "bar": NVME_MSIX_BAR, "size": 4096}
            first = {**told["regions"][0], "size": NVME_BYTES}
            told = {**told, "regions": [first, {**vectors, "address": -1, "type": "memory"}]}
    elif kind == "pvscsi" and values.get("x-old-pci-configuration") in ON:
        told = {**told, "id": {**told["id"], "subsystem-vendor": 0, "subsystem": 0x1000}}
    elif kind.startswith("virtio"):
        regions = told["regions"]
        ports = _port_bytes(device)
        if ports:
            regions = [{**each, "size": ports} if each["type"] == "io" else each for each in regions]
        if values.get("page-per-vq") in ON:
            bar = MODERN_BARS.get(kind, 4)
            regions = [{**each, "size": PAGED_BYTES} if each["bar"] == bar else each for each in regions]
        told = {**told, "regions": regions}
    return told


def _port_bytes(device: Device) -> int:
    """How many ports a function has, where that is not as in the recorded one; else 0."""
    values, kind = device.values, device.kind
    if kind.startswith("virtio-balloon"):
        small = values.get("page-poison") in OFF and values.get("qemu-4-0-config-size") not in ON
        return 32 if small and values.get("free-page-hint") not in ON else 0
    if kind.startswith("virtio-blk"):
        return 64 if values.get("discard") in OFF and values.get("write-zeroes") in OFF else 0
    if kind.startswith("virtio-net"):
        wide = values.get("mq") in ON and values.get("vectors") != 0
        return 64 if wide or any(values.get(name) not in UNSET for name in WIDE_NET) else 0
    if kind.startswith("virtio-serial"):
        return 32 if values.get("emergency-write") in OFF else 0
    return 0


def is_left_out(device: Device, path: str) -> bool:
    """Whether a part of the recorded device, below it, is not there."""
    values = device.values
    if path == EDID:
        return values.get("edid") in OFF
    return path.startswith(MODERN_PARTS) and values.get("disable-modern") in ON


def fit(device: Device, made: dict[str, Object]) -> None:
    """Have the device's regions, by path below it, lie so."""
    values = device.values
    if device.kind == "nvme" and values.get("msix-exclusive-bar") in ON:
        _fit_nvme(device, made)
    if not device.kind.startswith("virtio"):
        return
    ports = _port_bytes(device)
    if ports and PORTS in made:
        made[PORTS].values["size"] = ports
    if values.get("page-per-vq") not in ON:
        return
    for path, each in made.items():
        if path == "/virtio-pci[0]":
            each.values["size"] = PAGED_BYTES
        elif path.startswith(f"{MODERN_PARTS}notify-virtio"):
            each.values["size"] = PAGED_NOTIFY
            each.values.update({"addr": PAGED_BYTES - PAGED_NOTIFY} if device.kind in MODERN_BARS else {})
        elif device.kind in MODERN_BARS and path.startswith(MODERN_PARTS):
            part = VGA_PARTS.get(path.removeprefix(MODERN_PARTS).partition("-")[0])
            each.values.update({"addr": part[0], "size": part[1]} if part else {})


def _fit_nvme(device: Device, made: dict[str, Object]) -> None:
    """Interrupt vectors have a region of their own."""
    vectors = made[NVME_MSIX] = made.pop("/nvme-bar0[0]")
    vectors.values["size"] = 4096
    made["/nvme[0]"].values["container"] = ""
    home = f"{device.path}{NVME_MSIX}"
    made["/msix-table[0]"].values.update({"addr": 0, "container": home})
    made["/msix-pba[0]"].values.update({"addr": 2048, "container": home})
