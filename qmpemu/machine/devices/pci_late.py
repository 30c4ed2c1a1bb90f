"""What an operating system gives to PCI functions that come while it runs, out of what firmware has left.

A bus has room in the windows of the bridge above it, the root bus in what ACPI says of the host bridge; below an
expander's root bus ACPI says of no more than firmware has used. Windows moves nothing that has a place, takes the
largest region first and looks from the top of a window downwards (U); a function of which one region does not fit gets
none. Its ROM stays off, and its interrupt line is not written.
"""

from __future__ import annotations

from qmpemu.machine.devices.pci_setup import (
    BUSES,
    GIB,
    IO,
    IO_BASE,
    KINDS,
    MEMORY,
    MEMORY_TOP,
    PAGE,
    PREFETCH,
    ROM_BAR,
    WINDOW,
    Function,
    memory_start,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Range = tuple[int, int]
    Room = dict[str, list[Range]]
    """Kind of region -> first and last address of each window for it, the preferred one first."""

LAST_PORT, LAST_BUS = 0xFFFF, 255
HIGH_ROOM = {"pc": 2 * GIB, "q35": 32 * GIB}
"""How much the host bridge offers above memory."""


def root_room(chipset: str, low_bytes: int, high_bytes: int) -> Room:
    """The windows of the machine's own root bus."""
    high = 4 * GIB + -(-high_bytes // GIB) * GIB
    memory = [(memory_start(chipset, low_bytes), MEMORY_TOP - 1), (high, high + HIGH_ROOM[chipset] - 1)]
    return {IO: [(IO_BASE, LAST_PORT)], MEMORY: memory, PREFETCH: memory}


def room_behind(bridge: Function | None) -> Room:
    """The windows of a bridge, if it is set up; what is prefetchable goes into the other one, too."""
    given = {} if bridge is None else bridge.windows
    found = {
        kind: [window for window in (given.get(kind),) if window and window[0] < window[1]] for kind in KINDS
    }
    return {**found, PREFETCH: found[PREFETCH] + found[MEMORY]}


def place(function: Function, beside: Iterable[Function], room: Room) -> None:
    """Give each region of a function a place between those beside it, or none any."""
    taken = [each for other in beside for each in _taken(other)]
    regions = [each for each in function.row["regions"] if each["bar"] != ROM_BAR]
    found: dict[int, int] = {}
    for region in sorted(regions, key=lambda each: -int(each["size"])):
        kind, size = _kind(region), _size(region)
        address = _free(room[kind], size, size, taken, wide=bool(region.get("mem_type_64")))
        if address is None:
            return
        found[region["bar"]] = address
        taken.append((kind == IO, address, address + size - 1))
    function.addresses = found


def open_bridge(bridge: Function, beside: Iterable[Function], room: Room, numbers: Range) -> None:
    """Number the bus behind a bridge, and open windows there if something can be plugged in.

    numbers: the bus it is on, and the last number that may be used there.
    """
    others = list(beside)
    primary, most = numbers
    secondary = max([primary, *(each.numbers[2] for each in others if each.numbers[2] <= most)]) + 1
    if secondary > most:
        return
    bridge.numbers = (primary, secondary, min(secondary + bridge.reserved.get(BUSES, 0), most))
    taken = [each for other in [*others, bridge] for each in _taken(other)]
    for kind in sorted(bridge.hot - bridge.without, key=KINDS.index):
        align = WINDOW[kind]
        size = -(-max(align, bridge.reserved.get(kind, 0)) // align) * align
        address = _free(room[kind], size, align, taken, wide=kind == PREFETCH)
        if address is not None:
            bridge.windows[kind] = (address, address + size - 1)
            taken.append((kind == IO, address, address + size - 1))


def _kind(region: dict[str, Any]) -> str:
    if region["type"] == "io":
        return IO
    return PREFETCH if region["prefetch"] else MEMORY


def _size(region: dict[str, Any]) -> int:
    return int(region["size"]) if region["type"] == "io" else max(PAGE, int(region["size"]))


def _taken(function: Function) -> list[tuple[bool, int, int]]:
    """Whether of ports, first and last of all that a function has."""
    found = [(kind == IO, *window) for kind, window in function.windows.items()]
    for region in function.row["regions"]:
        address = function.addresses.get(region["bar"])
        if address is not None:
            found.append((region["type"] == "io", address, address + _size(region) - 1))
    return found


def _free(
    windows: Iterable[Range], size: int, align: int, taken: list[tuple[bool, int, int]], *, wide: bool
) -> int | None:
    """The highest address that is free in the first window that has one."""
    for first, last in windows:
        if first >= 4 * GIB and not wide:
            continue
        ports = last <= LAST_PORT
        address = (last + 1 - size) // align * align
        while address >= first:
            met = [
                start
                for of_ports, start, end in taken
                if of_ports == ports and start < address + size and end >= address
            ]
            if not met:
                return address
            address = (min(met) - size) // align * align
    return None
