"""In which order devices are reset: those behind a bus before what came before them (measured on QEMU 7.2)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device


def reset_order(devices: list[Device]) -> list[Device]:
    """What came last first, with all that is behind it. devices: in the order in which they came."""
    born = {device: number for number, device in enumerate(devices)}

    def lineage(device: Device) -> list[int]:
        owner = None if device.bus is None else device.bus.owner
        return [*(lineage(owner) if owner in born else []), born[device]]

    return sorted(devices, key=lineage, reverse=True)
