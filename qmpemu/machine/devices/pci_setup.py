"""How firmware sets up PCI: bus numbers, interrupt lines, and where each region and each bridge's windows go.

    numbers      depth first, by slot and function; then the root buses of expanders
    sizes        from the last bus to the first: what a bridge needs is a region of the bus it is on
    addresses    each kind of region of a bus is a row, the most aligned first; rows of memory end below the I/O APIC

All of it is measured on QEMU 7.2 with the firmware that it comes with.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

IO, MEMORY, PREFETCH = "io_range", "memory_range", "prefetchable_range"
"""Kinds of regions, by the names of a bridge's windows in query-pci."""
KINDS = (IO, MEMORY, PREFETCH)
BUSES = "subordinate"
IO_BASE, IO_ROOM = 0xC000, 0x4000
"""Where ports begin, and how many there are."""
WIDE_IO_BASE, WIDE_IO_ROOM = 0x1000, 0x9000
"""The same where these do not do."""
MEMORY_TOP = 0xFEC0_0000
GIB = 1 << 30
PAGE = 4096
WINDOW = {IO: 0x1000, MEMORY: 2 << 20, PREFETCH: 2 << 20}
"""What a bridge's windows are multiples of; one behind which something may be plugged in has at least one of each."""
IRQS = (10, 10, 11, 11)
"""Interrupt lines of the four links."""
PIIX4_PM, PIIX4_PM_IRQ = (0x8086, 0x7113), 9
ICH9_SMBUS, ICH9_SMBUS_PORT = (0x8086, 0x2930), 0x700
"""A function whose ports are moved, after they had a place among all others."""
USB = 0x0C03
"""The class of controllers that are not put above 4 GiB."""
HIGH_SLOTS = 25
"""Slots from here on share the links of q35's own devices."""
ROM_BAR = 6


class Function:
    """A PCI function as firmware finds it.

    row: as query-pci tells of it. behind: what is on the bus behind a bridge, else None.
    """

    __slots__ = ("addresses", "behind", "hot", "irq", "numbers", "reserved", "row", "windows", "without")

    def __init__(self, row: dict[str, Any], behind: list[Function] | None) -> None:
        self.row = row
        self.behind = behind
        self.hot: frozenset[str] = frozenset()
        """Windows in which room is kept, since something may be plugged in there."""
        self.without: frozenset[str] = frozenset()
        """Windows that the bridge does not have."""
        self.reserved: dict[str, int] = {}
        """Least sizes of windows in bytes, and how many buses it keeps (`BUSES`)."""
        self.irq: int | None = None
        self.addresses: dict[int, int] = {}
        """Region's number -> where it is; a ROM is switched off again, once it was looked at."""
        self.numbers = (0, 0, 0)
        """Of a bridge: the bus it is on, the one behind it, the last one behind it."""
        self.windows: dict[str, tuple[int, int]] = {}
        """Of a bridge: first and last address of each."""

    def state(self) -> list[Any]:
        """What is set up, as JSON has it."""
        windows = [[kind, *window] for kind, window in self.windows.items()]
        return [[list(each) for each in self.addresses.items()], self.irq, list(self.numbers), windows]

    def take_over(
        self, addresses: list[list[int]], irq: int | None, numbers: list[int], windows: list[Any]
    ) -> None:
        """From `state()`."""
        self.addresses = dict(addresses)  # type: ignore[arg-type]
        self.irq = irq
        primary, secondary, last = numbers
        self.numbers = (primary, secondary, last)
        self.windows = {kind: (first, end) for kind, first, end in windows}


class Need:
    """A region to be placed: so many bytes at a multiple of `align`. put: told where."""

    __slots__ = ("align", "put", "size", "wide")

    def __init__(self, size: int, align: int, put: Callable[[int], None], *, wide: bool) -> None:
        self.size = size
        self.align = align
        self.put = put
        self.wide = wide


Rows = dict[str, list[Need]]


def set_up(roots: list[tuple[int, list[Function]]], chipset: str, low_bytes: int, high_bytes: int) -> None:
    """Number and place everything; where there is no room, number it only: there this firmware gives up.

    roots: each root bus's number and functions, bus 0 first. chipset: `pc` or `q35`. low_bytes, high_bytes: RAM below
    and above 4 GiB.
    """
    rows: Rows = {kind: [] for kind in KINDS}
    last = 0
    for number, functions in roots:
        last = _number(functions, max(last, number))
    _collect([function for _, functions in roots for function in functions], rows)
    for kind in KINDS:
        rows[kind].sort(key=_order)
    if not _place_all(rows, memory_start(chipset, low_bytes), high_bytes):
        return
    for _, functions in roots:
        _route(functions, chipset, [])
    for function in roots[0][1]:
        if _identity(function) == ICH9_SMBUS:
            function.addresses = dict.fromkeys(function.addresses, ICH9_SMBUS_PORT)


def _number(functions: list[Function], number: int) -> int:
    """Give bridges their numbers; -> the last one that is used."""
    last = number
    for function in functions:
        if function.behind is not None:
            secondary = last + 1
            last = _number(function.behind, secondary)
            last = max(last, secondary + function.reserved.get(BUSES, 0))
            function.numbers = (number, secondary, last)
    return last


def _route(functions: list[Function], chipset: str, slots: list[int]) -> None:
    """Interrupt lines: each bridge turns the pins by the slot behind it."""
    for function in functions:
        row = function.row
        path = [*slots, int(row["slot"])]
        pin = int(row["irq_pin"])
        if pin:
            turned = pin - 1 + sum(path[1:]) + _turn(path[0], chipset)
            function.irq = IRQS[turned % len(IRQS)]
        if _identity(function) == PIIX4_PM:
            function.irq = PIIX4_PM_IRQ
        if function.behind is not None:
            _route(function.behind, chipset, path)


def _identity(function: Function) -> tuple[int, int]:
    identity = function.row["id"]
    return identity["vendor"], identity["device"]


def _turn(slot: int, chipset: str) -> int:
    if chipset == "q35":
        return slot if slot < HIGH_SLOTS else 0
    return slot - 1


def _collect(functions: list[Function], rows: Rows) -> None:
    """What the functions of a bus need, in the order in which they are found, then its bridges from the last one on."""
    for function in functions:
        for region in function.row["regions"]:
            _collect_region(function, region, rows)
    for function in reversed(functions):
        if function.behind is not None:
            _collect_bridge(function, function.behind, rows)


def _collect_region(function: Function, region: dict[str, Any], rows: Rows) -> None:
    bar, size = int(region["bar"]), int(region["size"])
    if region["type"] == "io":
        kind = IO
    else:
        kind = PREFETCH if region["prefetch"] else MEMORY
        size = max(size, PAGE)

    def put(address: int) -> None:
        if bar != ROM_BAR:
            function.addresses[bar] = address

    wide = bool(region.get("mem_type_64")) and function.row["class_info"]["class"] != USB
    rows[kind].append(Need(size, size, put, wide=wide))


def _collect_bridge(bridge: Function, behind: list[Function], rows: Rows) -> None:
    inner: Rows = {kind: [] for kind in KINDS}
    _collect(behind, inner)
    for kind in KINDS:
        if kind in bridge.without:
            continue
        needs = sorted(inner[kind], key=_order)
        align = max(WINDOW[kind], _align(needs))
        size, reserved = _size(needs), bridge.reserved.get(kind, 0)
        if not size and kind in bridge.hot:
            size = align
        if kind != IO:
            size = max(size, reserved)
        size = max(-(-size // align) * align, reserved)  # reserved ports are not rounded up
        wide = kind == PREFETCH and all(need.wide for need in needs)
        rows[kind].append(Need(size, align, _opener(bridge, kind, size, needs), wide=wide))


def _opener(bridge: Function, kind: str, size: int, needs: list[Need]) -> Callable[[int], None]:
    def put(address: int) -> None:
        last = address + size - 1
        bridge.windows[kind] = (address & -PAGE, last | PAGE - 1) if kind == IO else (address, last)
        _place(needs, address)

    return put


def _order(need: Need) -> tuple[int, int]:
    """The most aligned first, then the largest; a sort keeps the order of equal ones."""
    return -need.align, -need.size


def memory_start(chipset: str, low_bytes: int) -> int:
    """Where memory regions may begin."""
    if chipset == "q35":
        return 0xC000_0000
    return 0x8000_0000 if low_bytes <= 0x8000_0000 else max(0xC000_0000, low_bytes)


def _place_all(rows: Rows, start: int, high_bytes: int) -> bool:
    """Place everything; whether there is room. Nothing is placed where there is not."""
    ports = _size(rows[IO])
    if ports >= WIDE_IO_ROOM:
        return False
    high: Rows = {}
    if not _place_below(rows, start):
        high = {kind: [need for need in rows[kind] if need.wide] for kind in (MEMORY, PREFETCH)}
        low = {kind: [need for need in rows[kind] if not need.wide] for kind in (MEMORY, PREFETCH)}
        if not _place_below(low, start):
            return False
    _place(rows[IO], IO_BASE if ports < IO_ROOM else WIDE_IO_BASE)
    address = 4 * GIB + high_bytes
    for needs in high.values():
        align = max(GIB, _align(needs))
        address = _place(needs, -(-address // align) * align)
    return True


def _place_below(rows: Rows, start: int) -> bool:
    """Place memory downwards from the top; whether it fits. Nothing is placed where it does not."""
    upper, lower = rows[PREFETCH], rows[MEMORY]
    if _align(lower) < _align(upper):
        upper, lower = lower, upper
    upper_base = (MEMORY_TOP - _size(upper)) // _align(upper) * _align(upper)
    lower_base = (upper_base - _size(lower)) // _align(lower) * _align(lower)
    if lower_base < start:
        return False
    _place(upper, upper_base)
    _place(lower, lower_base)
    return True


def _align(needs: Iterable[Need]) -> int:
    return max((need.align for need in needs), default=1)


def _size(needs: Iterable[Need]) -> int:
    return sum(need.size for need in needs)


def _place(needs: list[Need], address: int) -> int:
    """Place one behind the other; -> the end."""
    for need in needs:
        need.put(address)
        address += need.size
    return address
