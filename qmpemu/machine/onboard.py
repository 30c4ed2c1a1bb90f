"""Where the board's own devices stand in the object tree that were not part of the recorded, bare machine.

QEMU numbers what a board makes in the order of making, `/machine/unattached/device[N]`. A device that the bare machine
lacks stands before the first one that is made later, and moves all those behind it. Positions were measured on 7.2.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig, OnBoard
    from qmpemu.profile import Profile

UNATTACHED = "/machine/unattached"
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


class Numbers:
    """The numbers of all unattached devices of a machine. more: processors beyond the first."""

    __slots__ = ("_inserted", "_more", "paths")

    def __init__(self, config: MachineConfig, profile: Profile) -> None:
        self._more = max(0, config.cpus - 1)
        self._inserted: list[int] = []
        """For each device of the board, in order, the recorded number that it stands before."""
        self.paths: list[str] = []
        """Their paths, in the order of `config.onboard`."""
        if config.onboard:
            self._inserted = _positions(config.family, config.onboard, profile)
            self.paths = [
                f"{UNATTACHED}/device[{position + self._more + count}]"
                for count, position in enumerate(self._inserted)
            ]

    def moved(self, path: str) -> str:
        """A recorded path as it is here."""
        if not path.startswith(f"{UNATTACHED}/device[") or not (self._more or self._inserted):
            return path
        digits, bracket, rest = path.removeprefix(f"{UNATTACHED}/device[").partition("]")
        number = int(digits)
        more = self._more if number > 1 else 0
        more += sum(position <= number for position in self._inserted)
        return f"{UNATTACHED}/device[{number + more}{bracket}{rest}"


def _positions(family: str, onboard: list[OnBoard], profile: Profile) -> list[int]:
    first: dict[str, int] = {}
    end = 0
    for path, about in profile.tree(family).items():
        digits = path.removeprefix(f"{UNATTACHED}/device[").removesuffix("]")
        if digits.isdigit():
            number = int(digits)
            kind = str(about["values"]["type"])
            first[kind] = min(number, first.get(kind, number))
            end = max(end, number + 1)
    before = BEFORE[family]
    return [first.get(before.get(each.group, ""), end) for each in onboard]
