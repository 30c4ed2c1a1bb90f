"""What each step of Windows reads and writes on its disk, as counts for the machine's statistics.

Sizes are of the order of a real Windows' and made up (grade U): what can be relied on is that they are the same for
the same seed, that a boot reads much, and that each document, event and update writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qmpemu.guests.windows.ending import DocumentsSaved
from qmpemu.guests.windows.eventlog import EventLogged
from qmpemu.guests.windows.power import SleepStarted
from qmpemu.guests.windows.recovery import StartupRepairRan, VolumeChecked
from qmpemu.guests.windows.running import ApplicationStarted, DocumentOpened, DocumentSaved
from qmpemu.guests.windows.session import UserLoggedOff, UserLoggedOn
from qmpemu.guests.windows.shutdown import FastStartupPrepared
from qmpemu.guests.windows.system import HIBERNATED, KERNEL, LOADER, RUNNING, SERVICES, PhaseEntered
from qmpemu.guests.windows.update import UpdateScreenShown
from qmpemu.guests.windows.volume import VolumeFlushed, VolumeMounted
from qmpemu.guests.windows.windows import DumpWritten

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.registry import Traffic


KIB, MIB = 1 << 10, 1 << 20
FLUSH = ("flush", 0)
PHASES = {
    LOADER: (("read", 512 * KIB),),
    KERNEL: (("read", 48 * MIB),),
    SERVICES: (("read", 96 * MIB), ("write", 2 * MIB)),
    RUNNING: (("read", 8 * MIB), ("write", 256 * KIB)),
    HIBERNATED: (("write", 256 * MIB), FLUSH),
}


def _always(*accesses: tuple[str, int]) -> Callable[[Any], tuple[tuple[str, int], ...]]:
    return lambda fact: accesses


COSTS: Traffic = {
    PhaseEntered: lambda fact: PHASES.get(fact.phase, ()),
    VolumeMounted: _always(("read", 1 * MIB), ("write", 4 * KIB), FLUSH),
    VolumeFlushed: _always(("write", 4 * MIB), FLUSH),
    VolumeChecked: _always(("read", 64 * MIB), ("write", 64 * KIB), FLUSH),
    StartupRepairRan: _always(("read", 128 * MIB), ("write", 1 * MIB), FLUSH),
    UserLoggedOn: _always(("read", 32 * MIB), ("write", 1 * MIB)),
    UserLoggedOff: _always(("write", 1 * MIB), FLUSH),
    ApplicationStarted: _always(("read", 16 * MIB)),
    DocumentOpened: _always(("read", 128 * KIB)),
    DocumentSaved: _always(("write", 128 * KIB), FLUSH),
    DocumentsSaved: lambda fact: (("write", 128 * KIB), FLUSH) * len(fact.documents),
    EventLogged: _always(("write", 4 * KIB)),
    UpdateScreenShown: _always(("read", 4 * MIB), ("write", 8 * MIB)),
    FastStartupPrepared: _always(("write", 256 * MIB), FLUSH),
    SleepStarted: _always(FLUSH),
    DumpWritten: _always(("write", 256 * MIB), FLUSH),
}
"""By the fact that tells of the step."""
