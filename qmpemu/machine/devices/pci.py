"""What query-pci shows: the functions on each PCI bus, from their recorded rows, and what firmware has set up.

Before firmware has run, bridges have no bus numbers, so nothing is seen behind them, and regions no addresses; what was
plugged in since waits for an operating system (`pci_late`).
"""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.machine.devices import old_layouts, virtio_modes
from qmpemu.machine.devices.acpi_hotplug import SHPC_BRIDGES
from qmpemu.machine.devices.bus import EXPANDERS, EXPRESS_PORTS, Bus
from qmpemu.machine.devices.pci_setup import BUSES, IO, KINDS, MEMORY, PREFETCH, Function, set_up
from qmpemu.machine.devices.regions import MSIX_BAR, sized
from qmpemu.machine.devices.table import Device
from qmpemu.machine.onboard import absent_types
from qmpemu.machine.wiring import ram_split
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.machine import Machine
    from qmpemu.profile import Profile

    Row = dict[str, Any]

ROM_BAR, SHPC_BAR = 6, 0
NO_ROM = {"romfile": ""}
WITHOUT = {"cxl-rp": frozenset((IO,))}
"""Windows that a bridge does not have."""
RESERVES = {
    "bus-reserve": BUSES,
    "io-reserve": IO,
    "mem-reserve": MEMORY,
    "pref32-reserve": PREFETCH,
    "pref64-reserve": PREFETCH,
}
"""A bridge's options -> what they keep free behind it."""
PCI_IDS = {"PIIX4_PM": (0x8086, 0x7113), "ich9-ahci": (0x8086, 0x2922), "ICH9-SMB": (0x8086, 0x2930)}
"""Vendor and device of what a board can be without."""
UNSET = (None, 2**32 - 1, 2**64 - 1)
"""Values of such an option that say nothing."""


class PciBuses:
    """The PCI buses of one machine, and what firmware has made of them when it ran last."""

    __slots__ = ("_layout", "_machine", "_profile", "_seen")

    def __init__(self, machine: Machine, profile: Profile) -> None:
        self._machine = machine
        self._profile = profile
        self._seen: dict[Bus, list[tuple[int, Device]]] | None = None
        self._layout: dict[object, Function] = {}

    def firmware_runs(self) -> None:
        """Firmware finds what there is now; where it puts it is worked out when somebody asks."""
        self._layout = {}
        self._seen = {bus: _functions(bus) for bus in self._all()}

    def knows(self, device: Device) -> bool:
        """Whether firmware or an operating system has seen a function."""
        seen = () if self._seen is None else self._seen.values()
        return device in self._layout or any(device is each for found in seen for _, each in found)

    def os_starts(self, device: Device) -> None:
        """An operating system has found a function that was plugged in: it gets what is free on its bus."""
        known = device.recorded is not None and device.recorded.pci is not None
        bus, roots = device.bus, self._roots()
        if bus is None or not known or not roots or not self.is_set_up:
            return
        self._set_up(roots, self._board_rows()[0]["devices"])
        if device not in self._layout:
            self._layout[device] = self._started(device, bus, roots)

    def state(self) -> list[list[Any]]:
        """What is set up, for another machine: where a function is, addresses, interrupt line, numbers, windows.

        Nothing where that follows from the devices that are there.
        """
        roots = self._roots()
        if not roots or not self.is_set_up or self._seen == {bus: _functions(bus) for bus in self._all()}:
            return []
        self._set_up(roots, self._board_rows()[0]["devices"])
        return [[_name_of(key), *function.state()] for key, function in self._layout.items()]

    def take_over(self, state: list[list[Any]]) -> None:
        """Be set up as another machine was, as far as its functions are here."""
        roots = self._roots()
        if self._seen is None or not roots or not state:
            return
        found: dict[object, Function] = {
            (row["slot"], row["function"]): Function(row, None) for row in self._board_rows()[0]["devices"]
        }
        for bus in self._all():
            found |= {device: _function(device, devfn) for devfn, device in _functions(bus)}
        self._seen = {}  # no firmware has seen it so
        told = {row[0]: row[1:] for row in state}
        self._layout = {key: each for key, each in found.items() if _name_of(key) in told}
        for key, function in self._layout.items():
            function.take_over(*told[_name_of(key)])
            behind = _behind(key) if isinstance(key, Device) else None
            if behind is not None and function.behind is not None:
                behind.number = function.numbers[1]

    def shown(self) -> list[Row]:
        """Every function by bus, as query-pci tells of them."""
        roots, board = self._roots(), self._board_rows()
        if not roots:
            return board
        functions = board[0]["devices"]
        self._set_up(roots, functions)
        found = []
        for bus in roots:
            rows = self._rows(bus, bus.number, functions if bus is roots[0] else [])
            found.append({"bus": bus.number, "devices": rows})
        return [*reversed(found[1:]), {**board[0], **found[0]}]

    def row(self, device: Device | None, slot: int, function: int) -> Row | None:
        """What is told of one function, an added one, or else the board's own at a place on the root bus."""
        roots = self._roots()
        if not roots:
            return None
        board = self._board_rows()[0]["devices"]
        self._set_up(roots, board)
        if device is None:
            found = next((each for each in board if _place(each) == (slot, function)), None)
            return None if found is None else self._placed(found, (slot, function))
        assert device.bus is not None
        known = device.recorded is not None and device.recorded.pci is not None
        return self._placed(_row(device, slot * 8 + function, device.bus.number), device) if known else None

    def added(self) -> list[Row]:
        """The functions that are not the board's own, on its root bus and behind bridges."""
        roots = self._roots()
        if not roots:
            return []
        self._set_up(roots, self._board_rows()[0]["devices"])
        return self._rows(roots[0], roots[0].number, [])

    @property
    def is_set_up(self) -> bool:
        """Whether firmware has run since the last reset."""
        acpi = self._machine.acpi
        if self._seen is None or acpi is None:
            return False
        return acpi.pm_base != 0 if acpi.there else self._machine.processor.software is not None

    def _started(self, device: Device, bus: Bus, roots: list[Bus]) -> Function:
        """A function that came later, with what there was for it."""
        from qmpemu.machine.devices import pci_late

        config, layout = self._machine.config, self._layout
        there = {*_board_places(layout), *self._machine.devices.all}
        self._layout = layout = {key: each for key, each in layout.items() if key in there}
        beside = [layout[each] for _, each in _functions(bus) if each in layout]
        above = None if bus.owner is None else layout.get(bus.owner)
        function = _function(device, int(str(device.place)))
        if bus is roots[0]:
            beside += [layout[key] for key in _board_places(layout)]
            room = pci_late.root_room(config.family, *ram_split(config))
            most = min([each.number for each in roots[1:]], default=pci_late.LAST_BUS + 1) - 1
        else:
            room = pci_late.room_behind(above)
            most = 0 if above is None else above.numbers[2]
        pci_late.place(function, beside, room)
        behind = _behind(device)
        if function.behind is not None and behind is not None:
            pci_late.open_bridge(function, beside, room, (bus.number, most))
            behind.number = function.numbers[1]
        return function

    def _board_rows(self) -> list[Row]:
        """The recorded reply of the bare machine."""
        config = self._machine.config
        recorded = self._profile.reply(config.family, config.accel, "query-pci", None, bare=True)
        assert isinstance(recorded, bytes)
        rows: Any = as_inserted(loads(recorded))
        if config.switched_off and rows:
            gone = [PCI_IDS[kind] for kind in absent_types(config) & PCI_IDS.keys()]
            rows[0]["devices"] = [row for row in rows[0]["devices"] if _identity(row) not in gone]
        return list(rows)

    def _all(self) -> list[Bus]:
        buses = [
            *self._machine.devices.board_buses,
            *(bus for each in self._machine.devices.all for bus in each.buses),
        ]
        return [bus for bus in buses if bus.is_pci]

    def _roots(self) -> list[Bus]:
        """The machine's own root bus, then those of expanders."""
        own = [bus for bus in self._machine.devices.board_buses if bus.is_pci][:1]
        return own + [each.buses[0] for each in self._machine.devices.all if each.kind in EXPANDERS]

    def _rows(self, bus: Bus, number: int, board: list[Row]) -> list[Row]:
        """The functions on a bus, by slot and function."""
        found = [self._placed(row, (row["slot"], row["function"])) for row in board]
        for devfn, device in _functions(bus):
            row = self._placed(_row(device, devfn, number), device)
            behind = _behind(device)
            if row.get("pci_bridge", {"bus": {"secondary": 0}})["bus"]["secondary"] and behind is not None:
                row["pci_bridge"]["devices"] = self._rows(behind, behind.number, [])
            found.append(row)
        return sorted(found, key=_place)

    def _placed(self, row: Row, key: object) -> Row:
        """A function as firmware has left it, if it was there then."""
        placed = self._layout.get(key) if self.is_set_up else None
        if placed is None:
            return row
        row = {**row, "regions": [_region(each, placed.addresses) for each in row["regions"]]}
        if placed.irq is not None and "irq" in row:
            row["irq"] = placed.irq
        if placed.behind is not None:
            row["pci_bridge"] = {"bus": _windows(row["pci_bridge"]["bus"], placed)}
        return row

    def _set_up(self, roots: list[Bus], board: list[Row]) -> None:
        """Work out once what firmware has done when it ran."""
        if self._seen is None or self._layout:
            return
        found: list[tuple[int, list[Function]]] = []
        for bus in roots:
            functions = self._found(bus, self._seen)
            if bus is roots[0]:
                for row in board:
                    functions.append(Function(row, None))
                    self._layout[row["slot"], row["function"]] = functions[-1]
            functions.sort(key=lambda each: _place(each.row))
            found.append((bus.number, functions))
        config = self._machine.config
        set_up(sorted(found, key=lambda each: each[0]), config.family, *ram_split(config))
        for device, function in self._layout.items():
            behind = _behind(device) if isinstance(device, Device) else None
            if function.behind is not None and behind is not None:
                behind.number = function.numbers[1]

    def _found(self, bus: Bus, seen: dict[Bus, list[tuple[int, Device]]]) -> list[Function]:
        """The functions that firmware has found on a bus, without the board's."""
        functions = []
        for devfn, device in seen.get(bus, ()):
            function = self._layout[device] = _function(device, devfn)
            beyond = _behind(device)
            if function.behind is not None and beyond is not None:
                function.behind += self._found(beyond, seen)
            functions.append(function)
        return sorted(functions, key=lambda each: _place(each.row))


def _function(device: Device, devfn: int) -> Function:
    """A function at power-up, with nothing behind it."""
    row = _row(device, devfn, 0)
    function = Function(row, [] if "pci_bridge" in row else None)
    if function.behind is not None:
        _describe(function, device)
    return function


def _name_of(key: object) -> str:
    """What a function is called where its state travels: its path, or the board's own by its place."""
    return key.path if isinstance(key, Device) else "{}.{}".format(*key)  # type: ignore[misc]


def _board_places(layout: dict[object, Function]) -> list[object]:
    """Where the board's own functions are."""
    return [key for key in layout if isinstance(key, tuple)]


def _identity(row: Row) -> tuple[int, int]:
    return row["id"]["vendor"], row["id"]["device"]


def _place(row: Row) -> tuple[int, int]:
    return row["slot"], row["function"]


def _functions(bus: Bus) -> list[tuple[int, Device]]:
    """What is on a bus beside the board's own: slot and function as one number, and the device."""
    return [
        (int(str(place)), device)
        for place, device in bus.taken.items()
        if not isinstance(device, str) and device.recorded is not None and device.recorded.pci is not None
    ]


def _behind(device: Device) -> Bus | None:
    return device.buses[0] if device.buses else None


def _describe(bridge: Function, device: Device) -> None:
    """What of a bridge decides on the room behind it."""
    given = {kind: device.values.get(option) for option, kind in RESERVES.items()}
    bridge.reserved = {kind: int(str(value)) for kind, value in given.items() if value not in UNSET}
    if device.kind in EXPRESS_PORTS:
        bridge.hot = frozenset((MEMORY, PREFETCH))
    elif device.kind in SHPC_BRIDGES and device.values.get("shpc") is not False:
        bridge.hot = frozenset(KINDS)
    bridge.without = WITHOUT.get(device.kind, frozenset())


def _row(device: Device, devfn: int, number: int) -> Row:
    """A function as it is at power-up."""
    assert device.recorded is not None and device.recorded.pci is not None
    slot, function = divmod(devfn, 8)
    row: Row = {**device.recorded.pci, "bus": number, "slot": slot, "function": function}
    row["qdev_id"] = device.id or device.alias
    if device.values.get("vectors") == 0 and device.kind.startswith("virtio"):
        row["regions"] = [each for each in row["regions"] if each["bar"] != MSIX_BAR]
    if "mount_tag" in device.values:
        row["regions"] = [_with_tag(each, str(device.values["mount_tag"])) for each in row["regions"]]
    if device.values.get("shpc") is False:
        row["regions"] = [each for each in row["regions"] if each["bar"] != SHPC_BAR]
        row = {name: value for name, value in row.items() if name != "irq"} | {"irq_pin": 0}
    row["regions"] = sized(device, row["regions"])
    if NO_ROM.items() <= device.values.items():
        row["regions"] = [each for each in row["regions"] if each["bar"] != ROM_BAR]
    return virtio_modes.row(device, old_layouts.row(device, row))


def _region(region: Row, addresses: dict[int, int]) -> Row:
    return {**region, "address": addresses.get(region["bar"], region["address"])}


def _windows(recorded: Row, placed: Function) -> Row:
    """A bridge's numbers and windows."""
    primary, secondary, last = placed.numbers
    windows = {
        kind: {**recorded[kind], "base": first, "limit": end} for kind, (first, end) in placed.windows.items()
    }
    return {**recorded, "number": primary, "secondary": secondary, "subordinate": last, **windows}


def _with_tag(region: dict[str, Any], tag: str) -> dict[str, Any]:
    """A virtio-9p function's ports hold the name by which a folder is mounted."""
    if region["type"] != "io":
        return region
    return {**region, "size": 32 if VIRTIO_PORTS + len(tag) <= 32 else 64}


VIRTIO_PORTS = 26
"""Bytes of a virtio-9p function's ports without the name."""


def functions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with those behind bridges, in the order of their buses."""
    found = []
    for row in rows:
        found += [row, *functions(row.get("pci_bridge", {}).get("devices", []))]
    return found
