"""The Windows event log: records under Windows' own ids and sources, in the order in which they are written.

clean shutdown 1074, 6006, 109, 13        next boot 6005        sleep 42        wake 107, 1        (facts 8)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from qmpemu.core.facts import Fact
from qmpemu.core.queues import deque

if TYPE_CHECKING:
    from qmpemu.guests.windows.system import System

RECORDS_MAX = 10_000
"""The oldest records are overwritten, as in a log of limited size."""

SOURCES = {
    1: "Power-Troubleshooter",
    8: "volsnap",
    13: "Kernel-General",
    41: "Kernel-Power",
    42: "Kernel-Power",
    107: "Kernel-Power",
    109: "Kernel-Power",
    1001: "Wininit",
    1074: "User32",
    1075: "User32",
    1076: "User32",
    6005: "EventLog",
    6006: "EventLog",
    6008: "EventLog",
    7034: "Service Control Manager",
    7043: "Service Control Manager",
}
"""Who writes which event (facts: windows-acpi 7 and 8)."""


KERNEL_GENERAL = "Kernel-General"
"""The other source of event 1."""


class EventLogged(Fact):
    """Windows wrote an event log record."""

    id: int
    source: str
    text: str


class Record(Struct, frozen=True):
    """One record of the System log. time_ns: since 1970, by the guest's clock."""

    id: int
    source: str
    time_ns: int
    text: str
    data: dict[str, str | int] = {}


class EventLog:
    """The System log of one Windows."""

    __slots__ = ("_system", "records")

    def __init__(self, system: System) -> None:
        self._system = system
        self.records: deque[Record] = deque(maxlen=RECORDS_MAX)

    def write(
        self, event_id: int, text: str, data: dict[str, str | int] | None = None, source: str = ""
    ) -> None:
        """Append a record; the time is now. source: where it is not the usual one of this id."""
        source = source or SOURCES[event_id]
        self.records.append(Record(event_id, source, self._system.now_ns, text, data or {}))
        self._system.facts.publish(EventLogged(id=event_id, source=source, text=text))

    def ids(self) -> list[int]:
        """The event ids in order."""
        return [record.id for record in self.records]
