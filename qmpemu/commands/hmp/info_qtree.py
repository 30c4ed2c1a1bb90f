"""`info qtree`: buses and the devices on them, the latest first, each with its properties. As measured on QEMU 7.2.

The tree is that of objects; which properties are told of, and in which order, is recorded (`Profile.qtree`).
"""

from __future__ import annotations

from qmpemu.commands.hmp import info_devices
from qmpemu.machine.devices import usb as usb_devices
from qmpemu.machine.devices.table import PERIPHERAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from qmpemu.commands.registry import Context
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.qom import Object

MAIN_BUS = "/machine/unattached/sysbus"
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
BITS_64 = (1 << 64) - 1


def show(ctx: Context) -> str:
    """All of it."""
    told = ctx.profile.qtree()
    if told is None:
        return "qmpemu does not emulate the command 'info qtree'\r\n"
    if ctx.machine.config.family == "none":
        return "bus: main-system-bus\r\n  type System\r\n"
    return "".join(f"{line}\r\n" for line in _Shown(ctx, told).main_bus())


class _Shown:
    """One telling of it."""

    def __init__(self, ctx: Context, told: dict[str, Any]) -> None:
        self._machine = ctx.machine
        self._lines: dict[str, dict[str, list[str]]] = told["lines"]
        self._names: dict[str, list[str]] = told["names"]
        self._parents = ctx.profile.parents()
        self._devices = {device.path: device for device in ctx.machine.devices.all}
        buses = info_devices.usb_buses(ctx)
        self._usb = {each[1].path: each for each in info_devices.usb_addresses(ctx, buses)}

    def main_bus(self) -> Iterator[str]:
        """The bus that everything is on."""
        _, found = self._machine.qom.find(MAIN_BUS)
        yield from self._bus("main-system-bus", "System", found, "")

    def _bus(self, name: str, kind: str, bus: Object, margin: str) -> Iterator[str]:
        yield f"{margin}bus: {name}"
        yield f"{margin}  type {kind}"
        links = sorted((each for each in bus.properties if each[:6] == "child["), key=_number, reverse=True)
        for each in links:
            path, found = self._machine.qom.find(str(bus.values[each]))
            yield from self._device(path, found, margin + "  ")

    def _device(self, path: str, shown: Object, margin: str) -> Iterator[str]:
        above, _, name = path.rpartition("/")
        yield f'{margin}dev: {shown.type_name}, id "{name if above == PERIPHERAL else ""}"'
        lines = self._lines.get(shown.type_name, {})
        margin += "  "
        for line in lines.get("before", ()):
            yield margin + line
        for each in self._listed(shown):
            yield f"{margin}{each} = {_text(shown, each)}"
        for line in lines.get("behind", ()):
            yield margin + line
        for line in self._place(path, shown):
            yield margin + line
        for bus_name, bus in sorted(_buses(shown), key=_turn, reverse=True):
            yield from self._bus(bus_name, bus.type_name, bus, margin)

    def _listed(self, shown: Object) -> Iterator[str]:
        """The properties, those of each class before those of the class above."""
        kind = shown.type_name
        while kind:
            yield from (name for name in self._names.get(kind, ()) if name in shown.values)
            kind = self._parents.get(kind, "")

    def _place(self, path: str, shown: Object) -> Iterator[str]:
        """What the bus tells of a device on it."""
        device = self._devices.get(path)
        if "legacy-addr" in shown.values:
            slot, function = str(shown.values["legacy-addr"]).split(".")
            row = self._machine.plugging.pci.row(device, int(slot, 16), int(function, 16))
            if row is not None:
                yield from _function(row)
        elif path in self._usb:
            yield self._port(path)
        elif device is not None and device.bus is not None and device.bus.kind == "virtio-serial-bus":
            yield self._line(device)

    def _port(self, path: str) -> str:
        number, device, address = self._usb[path]
        assert device.bus is not None
        attached = "" if device.kind in usb_devices.UNATTACHED else ", attached"
        speed = usb_devices.speed(device.bus, device)
        return (
            f"addr {number}.{address}, port {device.place}, speed {speed}, "
            f"name {usb_devices.product(device)}{attached}"
        )

    def _line(self, device: Device) -> str:
        """A port of virtio-serial: whether each side has it open."""
        chardev = self._machine.chardevs.get(str(device.values.get("chardev")))
        port = self._machine.plugging.ports.get(str(device.values.get("name", "")))
        guest = port is not None and port.guest_open
        host = chardev is not None and (device.kind == "virtconsole" or _is_connected(chardev))
        return f"port {device.place}, guest {_switch(guest)}, host {_switch(host)}, throttle off"


def _is_connected(chardev: Chardev) -> bool:
    """Whether somebody is at its other end; a file and a buffer are always there."""
    if chardev.backend in ("file", "ringbuf"):
        return True
    return chardev.backend == "socket" and not chardev.describe().startswith("disconnected:")


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _number(name: str) -> int:
    return int(name[6:-1])


def _buses(device: Object) -> Iterator[tuple[str, Object]]:
    """The buses of a device, those of parts that are on no bus among them."""
    for name, child in device.children.items():
        if "hotplug-handler" in child.properties:
            yield name, child
        elif child.is_device and not child.values.get("parent_bus"):
            yield from _buses(child)


def _turn(bus: tuple[str, Object]) -> tuple[int, str]:
    """A key: numbered buses in order of their numbers."""
    number = bus[0].rpartition(".")[2]
    return int(number) if number.isdigit() else 0, bus[0]


def _text(shown: Object, name: str) -> str:
    """A property's value."""
    if name == "addr":
        return str(shown.values.get("legacy-addr", shown.values[name]))
    value = shown.getters[name]() if name in shown.getters else shown.values[name]
    kind = shown.properties.get(name, "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int):
        return f'"{value}"'
    if kind == "size":
        return f"{value} ({_size(value)})"
    number = value - (1 << 64) if value >> 63 == 1 else value
    return f"{number} ({value & BITS_64:#x})"


def _size(value: int) -> str:
    """With the largest unit of which there is at least one, in three digits."""
    unit = 0
    while value / (1 << 10 * unit) >= 1000 and unit < len(UNITS) - 1:
        unit += 1
    return f"{value / (1 << 10 * unit):.3g} {UNITS[unit]}"


def _function(row: dict[str, Any]) -> Iterator[str]:
    kind, identity = row["class_info"], row["id"]
    name = kind.get("desc") or f"Class {kind['class']:04x}"
    above = row["pci_bridge"]["bus"]["prefetchable_range"]["limit"] >> 32 if "pci_bridge" in row else 0
    under = (
        (above & 0xFFFF, above >> 16)
        if "pci_bridge" in row
        else (
            identity.get("subsystem-vendor", 0),
            identity.get("subsystem", 0),
        )
    )
    yield (
        f"class {name}, addr {row['bus']:02x}:{row['slot']:02x}.{row['function']:x}, "
        f"pci id {identity['vendor']:04x}:{identity['device']:04x} (sub {under[0]:04x}:{under[1]:04x})"
    )
    for region in row["regions"]:
        first = region["address"] & BITS_64
        last = (region["address"] + region["size"] - 1) & BITS_64
        yield f"bar {region['bar']}: {'i/o' if region['type'] == 'io' else 'mem'} at {first:#x} [{last:#x}]"
