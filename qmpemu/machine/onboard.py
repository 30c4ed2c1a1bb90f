"""Where the board's own devices stand in the object tree that were not part of the recorded, bare machine.

QEMU numbers what a board makes in the order of making, `/machine/unattached/device[N]`. A device that the bare machine
lacks stands before the first one that is made later, and moves all those behind it. Positions were measured on 7.2.
"""

from __future__ import annotations

from qmpemu.machine.ghash import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from qmpemu.machine.config import MachineConfig, OnBoard
    from qmpemu.machine.qom import Object
    from qmpemu.profile import Profile

UNATTACHED, DEVICE = "/machine/unattached", "device["
PARTS = {
    "hpet": ("hpet",),
    "vmport": ("vmport", "vmmouse"),
    "pit": ("isa-pit", "kvm-pit", "isa-pcspk"),
    "pic": ("isa-i8259", "kvm-i8259"),
    "i8042": ("i8042", "vmport", "vmmouse", "port92"),
    "sata": ("ich9-ahci",),
    "smbus": ("ICH9-SMB", "smbus-eeprom"),
}
"""What can be switched off -> the types of its devices."""
PIIX4_ACPI = ("PIIX4_PM", "smbus-eeprom")
"""The same of a PC's ACPI; q35 has it in what stays."""
LINES = {"pc": {"i8042": 2, "acpi": 1, "hpet": 19, "pic": 1}, "q35": {"i8042": 2, "pic": 1}}
"""How many interrupt lines go with a part's devices."""
LINE = "non-qdev-gpio["
TABLES = tuple(
    rf"/machine/fw_cfg/\x2from@etc\x2f{name}[0]"
    for name in (r"acpi\x2frsdp", r"acpi\x2ftables", "table-loader")
)
"""ACPI's tables on their way to the firmware."""
FIRST = (
    "peripheral peripheral-anon nvdimm nvdimm-persistence hmat system.flash0 pflash0 system.flash1 pflash1 "
    "pcspk-audiodev cxl cxl-fmw unattached pc.ram[0] device-memory[0]"
).split()
"""What a machine of its own, beside its type's properties, has first; flash chips that are not used leave it again."""
THEN = {
    "pc": "fw_cfg i440fx smram rtc-time rtc_state acpi-device nvdimm-acpi-io[0]".split(),
    "q35": "fw_cfg q35 smram acpi-device rtc-time rtc_state nvdimm-acpi-io[0]".split(),
}
REGIONS = {
    0: "sysbus system[0] io[0]".split(),
    2: "pci[0] ram-below-4g[0] ram-above-4g[0] pc.bios[0] isa-bios[0] pc.rom[0]".split(),
}
PORTS = ["ioport80[0]", "ioportF0[0]"]
REGIONS_BEFORE = {"pc": {**REGIONS, 8: PORTS}, "q35": {**REGIONS, 7: PORTS}}
"""Recorded number of a device -> what comes to be there before it."""
LINES_OF = {"pc": {6: 1, 8: 24, 16: 2, 18: 1}, "q35": {4: 24, 5: 1, 14: 2}}
"""The same -> how many interrupt lines come behind it."""
LINES_WITHOUT_HPET = {6: 1, 9: 1, 10: 1, 13: 2, 16: 2, 18: 2}
"""Of a PC whose devices are not led over one."""
IDE = ("pc", 17, ["ide[0]", "ide[1]", "ide[2]", "ide[3]"])
"""All this is the order in which QEMU 7.2 makes its objects, as a debugger sees it: it decides where names collide."""
BEFORE = {
    "pc": {
        "video": "hpet",
        "serial": "isa-fdc",
        "parallel": "isa-fdc",
        "floppy": "i8042",
        "nic": "piix3-ide",
        "ide": "PIIX4_PM",
        "usb": "PIIX4_PM",
    },
    "q35": {"serial": "i8042", "parallel": "i8042", "floppy": "i8042", "ide": "ICH9-SMB", "usb": "ICH9-SMB"},
}
"""Group -> the recorded device that is made next; a group that is not named is made last."""


def processor_name(index: int) -> str:
    """Where processor `index` stands under /machine/unattached: the first one brings its APIC along as device[1]."""
    return "device[0]" if index == 0 else f"device[{index + 1}]"


class Numbers:
    """The numbers of all unattached devices of a machine.

    tree: the recorded objects of the bare one (`Profile.tree`), which costs a start a millisecond to read, if at hand.
    """

    __slots__ = ("_inserted", "_left_out", "_lines", "_more", "_tables", "paths")

    def __init__(self, config: MachineConfig, profile: Profile, tree: dict[str, Any] | None = None) -> None:
        self._more = max(0, config.cpus - 1)
        """Processors beyond the first."""
        self._left_out: list[int] = []
        """The recorded numbers of devices that are not there."""
        self._lines: tuple[str, ...] = ()
        """The interrupt lines that are not there."""
        self._tables = config.has_acpi
        if tree is None and (config.switched_off or config.onboard):
            tree = profile.tree(config.family, accel=config.accel)
        if config.switched_off and tree is not None:
            self._leave_out(config, tree)
        self._inserted: list[int] = []
        """For each device of the board, in order, the recorded number that it stands before."""
        self.paths: list[str] = []
        """Their paths, in the order of `config.onboard`."""
        if config.onboard and tree is not None:
            self._inserted = _positions(config.family, config.onboard, tree)
            self.paths = [
                f"{UNATTACHED}/device[{position + self._more + count - self._gone_before(position)}]"
                for count, position in enumerate(self._inserted)
            ]

    def moved(self, path: str) -> str:
        """A recorded path as it is here; empty for what is not there."""
        changed = self._more or self._inserted or self._left_out
        if not path.startswith(f"{UNATTACHED}/device[") or not changed:
            return path
        if self._left_out and self.is_absent(path):
            return ""
        digits, bracket, rest = path.removeprefix(f"{UNATTACHED}/device[").partition("]")
        number = int(digits)
        more = self._more if number > 1 else 0
        more += sum(position <= number for position in self._inserted)
        return f"{UNATTACHED}/device[{number + more - self._gone_before(number)}{bracket}{rest}"

    def is_absent(self, path: str) -> bool:
        """Whether a recorded path is that of a device that is not there, or below it."""
        if path.startswith(TABLES):
            return not self._tables
        parts = path.removeprefix(f"{UNATTACHED}/").split("/")
        if parts[0] in self._lines:
            return True
        return _recorded_number(f"{UNATTACHED}/{parts[0]}") in self._left_out

    def _leave_out(self, config: MachineConfig, tree: dict[str, Any]) -> None:
        types = absent_types(config)
        self._left_out = [
            number
            for path, about in tree.items()
            if about["values"]["type"] in types and (number := _recorded_number(path)) is not None
        ]
        gone = sum(LINES[config.family].get(part, 0) for part in config.switched_off)
        count = sum(path.startswith(f"{UNATTACHED}/{LINE}") for path in tree)
        self._lines = tuple(f"{LINE}{number}]" for number in range(count - gone, count))

    def _gone_before(self, number: int) -> int:
        return sum(each < number for each in self._left_out)


def in_order(names: Iterable[str], family: str, numbers: Numbers) -> list[str]:
    """Names under /machine/unattached in the order in which they come to be there."""
    found = set(names)
    order: list[str] = []
    bare: dict[str, int] = {}
    for number in range(len(found)):
        bare.setdefault(numbers.moved(f"{UNATTACHED}/{DEVICE}{number}]").rpartition("/")[2], number)
    bare.pop("", None)
    regions = {**REGIONS_BEFORE[family]}
    has_hpet = HPET in bare.values()
    lines = LINES_OF[family] if has_hpet or family != "pc" else LINES_WITHOUT_HPET
    line = 0
    for name in sorted((name for name in found if name.startswith(DEVICE)), key=_number):
        number = bare.get(name, -1)
        for start in [each for each in regions if each <= number]:
            order += regions.pop(start)
        order.append(name)
        order += [f"{LINE}{line + each}]" for each in range(lines.get(number, 0))]
        line += lines.get(number, 0)
        if (family, number) == IDE[:2]:
            order += IDE[2]
    known = set(order)
    return [*(name for name in order if name in found), *(name for name in names if name not in known)]


def machine_order(names: Iterable[str], family: str) -> list[str]:
    """What a machine has beside its type's properties, of these names, as QEMU lists it."""
    found, table = set(names), Table()
    for name in FIRST:
        if name in found or name in FLASH:
            table.insert(name)
    for name in FLASH:
        if name not in found:
            table.remove(name)
    for name in THEN[family]:
        if name in found:
            table.insert(name)
    return table.names()


def arrange(machine: Object, config: MachineConfig, profile: Profile) -> None:
    """Put a machine's own children, and what stands below `unattached`, in the order in which QEMU makes them."""
    board = machine.children.get("unattached")
    if board is None:
        return
    if config.family == "none":
        order = [name for name in REGIONS[0] if name in board.children]
        board.children = {name: board.children[name] for name in order} | board.children
        return
    order = in_order(board.children, config.family, Numbers(config, profile))
    board.children = {name: board.children[name] for name in order}
    order_machine(machine, config.family)


def order_objects(root: Object, config: MachineConfig) -> None:
    """Those of the command line come before the machine's own memory."""
    container = root.children.get("objects")
    if container is not None:
        first = [str(each["id"]) for each in config.objects if each["id"] in container.children]
        container.children = {name: container.children[name] for name in first} | container.children


def order_machine(machine: Object, family: str) -> None:
    """Let what the machine has of its own stand as QEMU lists it, behind what is its type's."""
    own = machine_order([*machine.properties, *machine.children], family)
    machine.order = [*(name for name in machine.order or () if name not in own), *own]


FLASH = ("system.flash0", "pflash0", "system.flash1", "pflash1")
HPET = 8


def _number(name: str) -> int:
    return int(name.removeprefix(DEVICE).removesuffix("]"))


def absent_types(config: MachineConfig) -> frozenset[str]:
    """The types of the board's own devices that are switched off."""
    off = {kind for part in config.switched_off for kind in PARTS.get(part, ())}
    return frozenset(off if config.has_pm else off.union(PIIX4_ACPI))


def _recorded_number(path: str) -> int | None:
    digits = path.removeprefix(f"{UNATTACHED}/device[").removesuffix("]")
    return int(digits) if digits.isdigit() else None


def _positions(family: str, onboard: list[OnBoard], tree: dict[str, Any]) -> list[int]:
    first: dict[str, int] = {}
    end = 0
    for path, about in tree.items():
        number = _recorded_number(path)
        if number is not None:
            kind = str(about["values"]["type"])
            first[kind] = min(number, first.get(kind, number))
            end = max(end, number + 1)
    before = BEFORE[family]
    return [first.get(before.get(each.group, ""), end) for each in onboard]
