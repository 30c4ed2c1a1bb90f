"""What happens in a migration. Events are sent only of those a client has asked for (capability `events`)."""

from __future__ import annotations

from qmpemu.core.facts import Fact


class MigrationMoved(Fact):
    """A migration has another status (QMP MigrationStatus). why: of a failure, else empty."""

    status: str
    why: str


class MigrationPassed(Fact):
    """A pass over the guest's memory begins. number: from 1."""

    number: int


class MigrationMovedTold(MigrationMoved):
    """The same, with the event MIGRATION."""


class MigrationPassedTold(MigrationPassed):
    """The same, with the event MIGRATION_PASS."""


class GuestArrived(Fact):
    """The guest goes on here. uptime_s: since its boot; inputs: that came along with it; lived: to be as it was."""

    uptime_s: float
    inputs: int


class GuestSaved(Fact):
    """The guest's state is in a snapshot of its disk."""

    tag: str
