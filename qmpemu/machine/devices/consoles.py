"""The screens that a machine has, as the object tree shows them: each adapter's, and behind them those of text.

/backend/console[N]: device, the adapter's path, empty for a screen of text; head, its number on the adapter.
"""

from __future__ import annotations

from qmpemu.machine.qom import Object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.machine.machine import Machine


def shown(machine: Machine) -> Iterator[tuple[str, Object]]:
    """Every screen, by its path."""
    screens = [
        (device.path, head) for device in machine.devices.all for head in range(machine.display.heads(device))
    ]
    screens += [("", 0) for chardev in machine.chardevs.values() if chardev.backend == "vc"]
    for number, (path, head) in enumerate(screens):
        made = Object("qemu-console")
        made.properties |= {"device": "link<device>", "head": "uint32"}
        made.order = ["type", "device", "head"]
        made.values |= {"device": path, "head": head}
        yield f"/backend/console[{number}]", made
