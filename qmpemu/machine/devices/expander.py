"""PCI expander bridges (pxb, pxb-pcie, pxb-cxl): each brings a root bus of its own, with a host bridge of the board's.

    -device pxb-pcie,id=x     bus `x`, a PCI Express root bus: root ports go there
    -device pxb,id=x          a root bus with one PCI bridge on it, and `x` is the bus behind that

Texts and places as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.devices.bus import BRIDGES, EXPANDERS, Bus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.machine.devices.table import Device, Devices
    from qmpemu.machine.qom import Object

INTERNAL = "pxb-internal"
NO_NODE = 128
CHASSIS = "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0."


def check(device: Device, devices: Devices) -> None:
    """Whether it can be made, if it is one, or go onto a root bus of one. Raises Refused."""
    bus = device.bus
    if bus is not None and bus.kind in EXPANDERS.values() and device.kind not in BRIDGES:
        assert bus.owner is not None
        raise Refused(f"PCI: Only PCI/PCIe bridges can be plugged into {bus.owner.kind}")
    if device.kind not in EXPANDERS or bus is None:
        return
    if device.kind == "pxb" and bus.kind != "PCI":
        raise Refused("pxb devices cannot reside on a PCIe bus")
    if device.kind != "pxb" and bus.kind != "PCIE":
        raise Refused(f"{device.kind} devices cannot reside on a PCI bus")
    node = device.values.get("numa_node", NO_NODE)
    if node != NO_NODE and int(str(node)) >= devices.nodes:
        raise Refused(f"Illegal numa node {node}")
    if device.kind == "pxb" and not device.values.get("bus_nr"):
        raise Refused(CHASSIS)
    number = device.values.get("bus_nr", 0)
    if any(each.kind in EXPANDERS and each.values.get("bus_nr", 0) == number for each in devices.all):
        raise Refused(f"Bus {number} is already in use")


def made(device: Device, devices: Devices, place: Callable[[str], str]) -> list[Bus]:
    """The root bus. place: where the board's next own device stands."""
    name = INTERNAL if device.kind == "pxb" else device.id or f"pcie.{1 + _others(devices)}"
    bus = Bus(name, EXPANDERS[device.kind], f"{place('')}/{name}", "", device)
    bus.number = int(str(device.values.get("bus_nr", 0)))
    return [bus]


def bridge(device: Device, devices: Devices) -> None:
    """The bridge on the root bus of a pxb, and the bus behind it, which has the name that the pxb has."""
    root = device.buses[0]
    given: dict[str, object] = {
        "driver": "pci-bridge",
        "bus": root,
        "chassis_nr": device.values["bus_nr"],
        "shpc": "off",
        "msi": "off",
    }
    made = devices.add(given, running=False, path=devices.next_unattached(""))
    made.alias = device.id or ""
    behind = made.buses[0]
    behind.hotplug = ""
    if device.id is not None:
        behind.name, behind.path = device.id, f"{made.path}/{device.id}"


def host(device: Device) -> tuple[str, Object]:
    """The board's own host bridge, and its path."""
    from qmpemu.machine.qom import Object

    root = device.buses[0]
    made, bus = Object("pxb-host"), Object(root.kind)
    values: dict[str, Any] = {
        "parent_bus": "/machine/unattached/sysbus",
        "realized": True,
        "hotplugged": False,
        "hotpluggable": False,
        "bypass-iommu": device.values.get("bypass_iommu", False),
        "x-config-reg-migration-enabled": True,
    }
    made.properties |= {name: "link<bus>" if name == "parent_bus" else "bool" for name in values}
    made.values |= values
    bus.properties |= {"realized": "bool", "hotplug-handler": "link<hotplug-handler>"}
    bus.values |= {"realized": True, "hotplug-handler": ""}
    made.children[root.name] = bus
    return root.path.rpartition("/")[0], made


def _others(devices: Devices) -> int:
    return sum(each.kind in EXPANDERS for each in devices.all)
