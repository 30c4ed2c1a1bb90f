"""Processor slots: which are there from the start and which were plugged in."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device


LEVELS = ("socket-id", "die-id", "core-id", "thread-id")
"""Where a processor is, by the levels of the topology."""


class Slots:
    """All slots of a machine, in order of their index. plugged: index -> what was plugged in."""

    __slots__ = ("by_os", "model", "nodes", "plugged", "started", "topology")

    def __init__(self) -> None:
        self.topology = (1, 1, 1, 1)
        """sockets, dies, cores, threads."""
        self.started = 0
        """How many processors the machine started with: those of the first slots."""
        self.model = ""
        self.nodes: dict[int, int] | None = None
        """Slot -> NUMA node, 0 where it is not there; None without nodes."""
        self.plugged: dict[int, Device] = {}
        self.by_os = False
        """Whether the operating system has switched to the interface that can eject processors."""

    @property
    def count(self) -> int:
        """How many slots there are."""
        sockets, dies, cores, threads = self.topology
        return sockets * dies * cores * threads

    def present(self) -> list[int]:
        """The indexes of all processors."""
        return [*range(self.started), *self.plugged]

    def props(self, index: int) -> dict[str, object]:
        """Where a slot is."""
        _, dies, cores, threads = self.topology
        rest, thread = divmod(index, threads)
        rest, core = divmod(rest, cores)
        socket, die = divmod(rest, dies)
        within = {"die-id": die} if dies > 1 else {}
        node = {} if self.nodes is None else {"node-id": self.nodes.get(index, 0)}
        return {"core-id": core, "thread-id": thread, **node, **within, "socket-id": socket}

    def plug(self, device: Device) -> int:
        """The slot for a new processor by its options. Raises Refused."""
        wanted = f"{self.model}-x86_64-cpu"
        if device.kind != wanted:
            raise Refused(f"Invalid CPU type, expected cpu type: '{wanted}'")
        if self.topology[1] == 1:
            device.values.setdefault("die-id", 0)
        where = [_coordinate(device, name, most) for name, most in zip(LEVELS, self.topology, strict=True)]
        index = 0
        for number, count in zip(where, self.topology, strict=True):
            index = index * count + number
        if index < self.started or index in self.plugged:
            raise Refused(f"CPU[{index}] with APIC ID {self.apic_id(where)} exists")
        self.plugged[index] = device
        return index

    def unplug(self, device: Device) -> None:
        """The processor is gone, if it was one."""
        self.plugged = {index: each for index, each in self.plugged.items() if each is not device}

    def apic_id(self, where: list[int]) -> int:
        """Fields as wide as their counts need."""
        found = 0
        for number, count in zip(where, self.topology, strict=True):
            found = found << (count - 1).bit_length() | number
        return found


def _coordinate(device: Device, name: str, most: int) -> int:
    given = device.values.get(name)
    if given is None or given == -1:
        raise Refused(f"CPU {name} is not set")
    if isinstance(given, bool) or not str(given).lstrip("-").isdigit():
        raise Refused(f"Parameter '{name}' expects integer")
    number = int(str(given))
    if not 0 <= number < most:
        raise Refused(f"Invalid CPU {name}: {number} must be in range 0:{most - 1}")
    return number
