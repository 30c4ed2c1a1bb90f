"""Values that follow from what a device is given: a disk's geometry and name, the ports of a serial line (measured)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.machine import Machine
    from qmpemu.machine.qom import Object

HEADS, SECTORS, SECTOR_BYTES = 16, 63, 512
CYLINDERS = range(2, 16383 + 1)
PLAIN_CYLINDERS = 1024
"""Up to so many need no translation."""
UNSET = (None, 0xFFFF_FFFF, -1)
LINES = {
    "isa-serial": ((0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3)),
    "isa-parallel": ((0x378, 7), (0x278, 7), (0x3BC, 7)),
}
"""Type -> port and interrupt line by number."""
FLOPPIES = {1_474_560: "144", 1_228_800: "120", 2_949_120: "288"}
"""Bytes of a medium -> the drive that it makes of a floppy drive without a type."""


def fit(machine: Machine, device: Device, made: Object) -> None:
    """Have the object of a device tell of them."""
    if device.kind in LINES:
        made.values.update(_line(machine, device))
        ports = made.children.get("serial[0]")
        if ports is not None:
            ports.values["addr"] = made.values["iobase"]
        return
    if device.kind == "usb-storage":
        parts = [each for bus in made.children.values() for each in bus.children.values()]
    else:
        parts = [made, *made.children.values()]
    for part in parts:
        if "drive" in part.properties:
            _fit_disk(machine, device, part)


def _line(machine: Machine, device: Device) -> dict[str, object]:
    unnumbered = [each for each in machine.devices.all if each.kind == device.kind and _is_auto(each)]
    number = unnumbered.index(device) if device in unnumbered else int(str(device.values.get("index", 0)))
    port, irq = LINES[device.kind][number % len(LINES[device.kind])]
    found: dict[str, object] = {"index": number, "iobase": port, "irq": irq}
    return {**found, **{name: value for name, value in device.values.items() if value not in UNSET}}


def _is_auto(line: Device) -> bool:
    return line.values.get("index") in UNSET


def _fit_disk(machine: Machine, device: Device, part: Object) -> None:
    name = str(device.values.get("drive", ""))
    blocks = machine.blocks
    drive = blocks.named(name)
    node = blocks.nodes.get(name) if drive is None else drive.node
    if "device_id" in part.values and not device.values.get("serial") and drive is not None:
        part.values["device_id"] = name
    if node is None:
        return
    size_bytes = node.image.virtual_bytes
    if "cyls" in part.properties and "cyls" not in device.values:
        count = size_bytes // SECTOR_BYTES // (HEADS * SECTORS)
        count = min(max(count, CYLINDERS[0]), CYLINDERS[-1])
        part.values.update(cyls=count, heads=HEADS, secs=SECTORS)
        if "bios-chs-trans" in part.properties and "bios-chs-trans" not in device.values:
            part.values["bios-chs-trans"] = "none" if count <= PLAIN_CYLINDERS else "lba"
    if "drive-type" in part.properties and "drive-type" not in device.values and size_bytes in FLOPPIES:
        part.values["drive-type"] = FLOPPIES[size_bytes]


FIRMWARE: dict[str, dict[str, int]] = {
    "q35-pcihost": {"MCFG": 0xB000_0000, "mcfg_size": 256 << 20},
    "ICH9-LPC": {"pm_io_base": 0x600, "gpe0_blk": 0x620},
    "PIIX4_PM": {"pm_io_base": 0x600, "smb_io_base": 0x700},
}
"""Type of a board's device -> what of it the firmware sets up when it runs."""


def show_firmware(machine: Machine, board: Iterable[Object]) -> None:
    """Have the board's own devices tell of what the firmware has set up."""
    for each in board:
        for name, value in FIRMWARE.get(each.type_name, {}).items():
            each.getters[name] = _set_up(machine, each.values.get(name), value)


def _set_up(machine: Machine, before: object, after: int) -> Callable[[], object]:
    return lambda: after if machine.plugging.pci.is_set_up else before
