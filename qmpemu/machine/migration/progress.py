"""What is known of a migration from here: its status, its passes over the memory, and the figures of query-migrate."""

from __future__ import annotations

from qmpemu.machine.devices.adapter_memory import adapter_bytes
from qmpemu.machine.migration.facts import (
    MigrationMoved,
    MigrationMovedTold,
    MigrationPassed,
    MigrationPassedTold,
)
from qmpemu.machine.migration.memory import Ram, firmware_bytes
from qmpemu.machine.migration.pace import Pace
from qmpemu.machine.runstate import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.machine import Machine

IN_POSTCOPY = ("postcopy-active", "postcopy-paused", "postcopy-recover")
UNDER_WAY = ("setup", "active", "pre-switchover", "device", "cancelling", *IN_POSTCOPY)


class Progress:
    """Of one migration; it stays to be asked about. Times are the host's clock's, in ns."""

    def __init__(self, machine: Machine, capabilities: set[str]) -> None:
        self._machine = machine
        self._on = frozenset(capabilities)
        self.parameters = machine.migration.parameters
        self.status = "none"
        self.error = ""
        self.ram = Ram(machine.migration.memory, self.memory_bytes)
        self.pace = Pace(self.ram, self.parameters, machine.migration.memory.link_bytes_s)
        self.began_ns = self.ended_ns = self.setup_ns = self._stopped_ns = 0
        self.downtime_ns: int | None = None
        self.downtime_bytes = self.precopy_bytes = self.postcopy_bytes = 0
        self.requests = 0
        """Pages that were asked for in postcopy: by each processor the one with which it goes on."""

    @property
    def memory_bytes(self) -> int:
        """What of memory travels, as the machine is now: it is told so of a migration that is over, too."""
        machine = self._machine
        plugged_bytes = machine.devices.memory.migrated_bytes + adapter_bytes(machine.devices.all)
        return machine.config.memory_bytes + plugged_bytes + firmware_bytes(machine)

    @property
    def under_way(self) -> bool:
        """Whether it has begun and not ended."""
        return self.status in UNDER_WAY

    def on(self, capability: str) -> bool:
        """Whether it was begun with the capability."""
        return capability in self._on

    def begins(self) -> None:
        """It is set up: the first thing that is heard of it."""
        self._move("setup")

    def refuse(self, why: str = "") -> None:
        """It did not come to a connection."""
        self._move("failed", why)

    def into_snapshot(self) -> None:
        """All of it at once, into an image: savevm is a migration to QEMU."""
        self.began_ns = self.ended_ns = self._machine.host_ns()
        self.downtime_ns = 0
        self.begins()
        for _ in range(2):
            self._pass()
            self.ram.send(self.ram.cost_bytes)
        self.downtime_bytes = self.ram.transferred
        self._move("completed")

    def _move(self, status: str, why: str = "") -> None:
        self.status = status
        if status == "failed":
            self.error = why
        kind = MigrationMovedTold if self._told else MigrationMoved
        self._machine.facts.publish(kind(status=status, why=why))

    def _pass(self) -> None:
        """A pass over the memory begins."""
        running = self._machine.board.runstate == RUNNING
        self.ram.sync(self._machine.host_ns(), running=running)
        if self.on("auto-converge") and self.ram.passes > 2:
            self.pace.throttle()
        kind = MigrationPassedTold if self._told else MigrationPassed
        self._machine.facts.publish(kind(number=self.ram.passes))

    def _send_pages(self) -> int:
        """Send what this portion of time allows; after how many ns there is to be more."""
        spent, pause_ns = self.pace.send(self._machine.host_ns(), self._limit())
        if self.status == "active":
            self.precopy_bytes += spent
        else:
            self.postcopy_bytes += spent
        return pause_ns

    def _limit(self) -> int:
        """Bytes a second that the parameters allow; postcopy's 0 is no limit."""
        name = "max-bandwidth" if self.status == "active" else "max-postcopy-bandwidth"
        limit: int = self.parameters[name]
        return limit if limit or self.status == "active" else 1 << 62

    def _give_up(self, status: str, why: str) -> None:
        """It has ended without success: the guest goes on as before."""
        self.ended_ns = self._machine.host_ns()
        if status == "failed":
            self._move(status, why)
        self._machine.board.migration_gave_up()
        if status != "failed":
            self._move(status, why)

    def _stop_guest(self) -> None:
        self._stopped_ns = self._machine.host_ns()
        self._machine.board.migration_stops()

    @property
    def _told(self) -> bool:
        return "events" in self._machine.migration_capabilities
