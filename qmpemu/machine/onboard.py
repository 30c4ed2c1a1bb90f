"""Where the board's own devices stand in the object tree that were not part of the recorded, bare machine.

QEMU numbers what a board makes in the order of making, `/machine/unattached/device[N]`. A device that the bare machine
lacks stands before the first one that is made later, and moves all those behind it. Positions were measured on 7.2.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from qmpemu.machine.config import MachineConfig, OnBoard
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
CREATED = {
    "pc": (
        "isa-bios i0 i1 i2 pci i3 0 system io i4 i5 i6 i7 1 i8 pc.rom i9 i10 2 3 i11 i12 4 ram- "
        "above-4g ram-below-4g 5 sysbus i13 i14 6 i15 7 pc.bios 8 i16 i17 i18 i19 i20 i21 i22 9 "
        "ioport80 i23 i24 10 11 12 13 14 15 ide[1] 16 ioportF0 17 i25 i26 ide ide[3] ide[2] 18 i27 "
        "19 20 21 22 23 24 25 26"
    ),
    "q35": (
        "i0 pc.bios i1 i2 sysbus 0 i3 i4 i5 1 i6 2 i7 i8 3 i9 4 system ram-below-4g i10 i11 5 i12 "
        "isa-bios i13 i14 pci 6 i15 i16 7 8 i17 ioport80 i18 i19 9 i20 10 pc.rom 11 i21 i22 i23 i24 "
        "i25 12 i26 13 14 15 ioportF0 16 17 18 19 20 io 21 22 23 24 ram-above-4g"
    ),
}
"""The order in which a bare board puts its parts under /machine/unattached: numbers of devices, `i` with those of
interrupt lines, names of others with their `[0]` left out. Found from how QEMU 7.2 lists them: it decides where names
collide."""
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
    devices = sorted((name for name in found if name.startswith(DEVICE)), key=_number)
    others = _behind(family)
    bare = {numbers.moved(f"{UNATTACHED}/{DEVICE}{number}]"): number for number in others}
    for name in ("", *devices):
        order += [name] if name else []
        behind = others[bare[f"{UNATTACHED}/{name}"]] if f"{UNATTACHED}/{name}" in bare else []
        order += [each for each in (others[-1] if not name else behind) if each in found]
    known = set(order)
    return [*order, *(name for name in names if name not in known)]


def _behind(family: str) -> dict[int, list[str]]:
    """Behind which device of a bare board, by its number, others come; -1 for those before the first."""
    found: dict[int, list[str]] = {-1: []}
    last = -1
    for each in CREATED[family].split():
        if each.isdigit():
            last = int(each)
            found[last] = []
        elif each[0] == "i" and each[1:].isdigit():
            found[last].append(f"{LINE}{each[1:]}]")
        else:
            found[last].append(each if each == "sysbus" or each[-1] == "]" else f"{each}[0]")
    return found


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
