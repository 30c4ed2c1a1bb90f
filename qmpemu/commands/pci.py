"""QAPI module `pci`."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.core.json_text import loads
from qmpemu.machine.devices.bus import EXPANDERS
from qmpemu.machine.devices.pci import Firmware
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("query-pci")
def query_pci(ctx: Context) -> object:
    """-> every PCI function by bus; what is behind a bridge is seen once firmware has numbered the buses."""
    machine, config = ctx.machine, ctx.machine.config
    recorded = ctx.profile.reply(config.family, config.accel, "query-pci", None, bare=True)
    assert isinstance(recorded, bytes)
    buses: Any = as_inserted(loads(recorded))
    root = next((bus for bus in machine.devices.board_buses if bus.is_pci), None)
    if root is None:
        return buses
    firmware = Firmware(done=machine.acpi is not None and machine.acpi.pm_base != 0)
    rows = firmware.rows(root, 0, buses[0]["devices"], machine.devices)
    found = [{**buses[0], "devices": rows}]
    for device in machine.devices.all:
        if device.kind in EXPANDERS:
            bus = device.buses[0]
            firmware.begin(bus.number)
            found.insert(
                0, {"bus": bus.number, "devices": firmware.rows(bus, bus.number, [], machine.devices)}
            )
    return found
