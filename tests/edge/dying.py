"""Runs the emulator until a step of a migration, where the process kills itself: a script for tests.

DIE_AT: the step's number, from 1; a step is the moment before or after a fact of a migration or a piece that leaves on
its link, and the arrival of a piece. DIE_NOTES: a file that gets the name of each step.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from qmpemu.core.facts import Bus
from qmpemu.edge.migration.links import FdLink
from qmpemu.edge.process import main

OF_A_MIGRATION = ("Migration", "MachineStopped", "MachineResumed", "GuestArrived")


class Steps:
    """Counts, and ends the process at `last`."""

    def __init__(self, last: int, notes: str) -> None:
        self._last, self._count = last, 0
        self._notes = open(notes, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
        self.begun = False

    def step(self, name: str) -> None:
        """One more."""
        if self.begun:
            self._count += 1
            self._notes.write(f"{name}\n")
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def die_at(steps: Steps) -> None:
    """Make every step known to `steps`."""
    publish, send, readable = Bus.publish, FdLink.send, FdLink._readable

    def published(bus: Bus, fact: Any) -> Any:
        name = " ".join([fact.name, *map(str, fact.data().values())])
        steps.begun = steps.begun or fact.name.startswith("Migration")
        told = fact.name.startswith(OF_A_MIGRATION)
        steps.step(f"before {name}") if told else None
        publish(bus, fact)
        steps.step(f"after {name}") if told else None
        return fact

    def sent(link: FdLink, data: bytes) -> None:
        steps.step(f"before {len(data)} bytes left")
        send(link, data)
        steps.step(f"after {len(data)} bytes left")

    def came(link: FdLink) -> None:
        steps.step("before bytes came")
        readable(link)

    Bus.publish, FdLink.send, FdLink._readable = published, sent, came  # type: ignore[method-assign,assignment]


die_at(Steps(int(os.environ["DIE_AT"]), os.environ["DIE_NOTES"]))
sys.exit(main())
