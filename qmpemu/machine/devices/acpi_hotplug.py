"""Who handles plugging on the PCI buses of a machine: ACPI, the bridge in front of the bus, or nobody (measured)."""

from __future__ import annotations

from qmpemu.machine.devices.bus import EXPRESS_PORTS
from qmpemu.machine.devices.memory import DRIVERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.devices.bus import Bus
    from qmpemu.machine.devices.compat import Compat
    from qmpemu.machine.devices.table import Device

BOARD = "/machine/unattached/device["
"""Begins the path of the board's device that has ACPI's registers."""
HANDLERS = {"q35": "ICH9-LPC", "pc": "PIIX4_PM"}
"""That device's type, by the family of the board."""
BRIDGES, ROOT = "acpi-pci-hotplug-with-bridge-support", "acpi-root-pci-hotplug"
"""Its properties: whether ACPI handles plugging behind bridges, and on the root bus."""
SHPC_BRIDGES = ("pci-bridge", "pci-bridge-seat", "pcie-pci-bridge")
"""Bridges with the standard hot-plug controller."""


class AcpiHotplug:
    """That of one machine."""

    __slots__ = ("bridges", "counts", "root")

    def __init__(self, config: MachineConfig, compat: Compat | None) -> None:
        kind = HANDLERS.get(config.family, "")
        values = {} if compat is None else compat.of(kind, (BRIDGES, ROOT))
        values |= {
            each.name: each.value in ("on", "true", "yes") for each in config.globals if each.driver == kind
        }
        there = config.has_pm or config.family == "q35"
        self.root = there and config.family == "pc" and values.get(ROOT, True) is not False
        """Whether on the root bus; that of a Q35 board takes nothing at run time."""
        self.bridges = there and not (values.get(BRIDGES) is False and (self.root or config.family == "q35"))
        """Whether behind bridges that were there at the start."""
        self.counts = there and (self.bridges or self.root)
        """Whether buses are numbered for it."""

    def handler(self, bridge: Device) -> str:
        """The handler of the bus behind a bridge: a path, or empty."""
        above = bridge.bus
        by_acpi = above is not None and (above.owner is None or above.hotplug.startswith(BOARD))
        if by_acpi and self.bridges and not bridge.hotplugged:
            return "" if _is_off(bridge) else f"{BOARD}0]"  # whichever that is in the end
        return bridge.path if _has_own(bridge) else ""


def _has_own(bridge: Device) -> bool:
    if bridge.kind in SHPC_BRIDGES:
        return bridge.values.get("shpc") is not False
    return bridge.kind in EXPRESS_PORTS


def _is_off(bridge: Device) -> bool:
    """Whether it is a port into which nothing can be plugged at run time."""
    return bridge.kind in EXPRESS_PORTS and bridge.values.get("hotplug") is False


def why_not(bus: Bus) -> str | None:
    """Why nothing can be plugged in there at run time."""
    if not bus.hotplug:
        return f"Bus '{bus.name}' does not support hotplugging"
    if bus.owner is not None and _is_off(bus.owner):
        return f"Hot-plug failed: unsupported by the port device '{bus.owner.id or ''}'"
    return None


BUTTON_NS = 5_000_000_000
"""For so long a port waits for what the guest says to its button."""


def waits(device: Device, since_ns: int) -> bool:
    """Whether a device that was asked for may not be asked for again yet."""
    if device.bus is None:
        return device.kind not in DRIVERS
    if is_native(device):
        owner = device.bus.owner
        return owner is not None and owner.kind in EXPRESS_PORTS and since_ns < BUTTON_NS
    return since_ns < 1


def is_native(device: Device) -> bool:
    """Whether the bridge in front of its bus handles its plugging."""
    bridge = device.bus.owner if device.bus is not None and device.bus.is_pci else None
    return bridge is not None and device.bus is not None and device.bus.hotplug == bridge.path


def is_fixed(device: Device) -> bool:
    """Whether it is a bridge that was there at the start, which ACPI never ejects."""
    is_bridge = any(bus.is_pci for bus in device.buses)
    return (
        is_bridge
        and not device.hotplugged
        and device.bus is not None
        and device.bus.hotplug.startswith(BOARD)
    )
