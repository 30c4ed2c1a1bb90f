"""Both ends of one machine's migrations, and what commands and queries share."""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.core.table import Refused
from qmpemu.machine.migration import address as addresses
from qmpemu.machine.migration import sections, state
from qmpemu.machine.migration.dirty_rate import DirtyRate
from qmpemu.machine.migration.incoming import Incoming
from qmpemu.machine.migration.memory import MemoryModel
from qmpemu.machine.migration.outgoing import Outgoing
from qmpemu.machine.migration.parameters import Parameters
from qmpemu.machine.runstate import INMIGRATE, POSTMIGRATE
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.machine.machine import Machine
    from qmpemu.machine.migration.address import Address
    from qmpemu.machine.migration.link import Link
    from qmpemu.profile import Profile


class Migration:
    """The latest migration from here (`outgoing`), the one to here (`incoming`), parameters and the memory's model."""

    def __init__(self, machine: Machine, profile: Profile) -> None:
        self._machine = machine
        config = machine.config
        recorded = profile.reply(config.family, config.accel, "query-migrate-parameters", None)
        assert isinstance(recorded, bytes), "every profile has the parameters"
        self.parameters = Parameters(loads(recorded))
        self.memory = config.memory_model or MemoryModel()
        self.dirty_rate = DirtyRate(machine)
        self.outgoing: Outgoing | None = None
        self.incoming = Incoming(machine)
        self.address = addresses.Address("none", "none")
        """Where the latest migration from here went."""

    def secure(self, link: Link, done: Callable[[str], object]) -> None:
        """Let a link out speak TLS where credentials are set: done("") when it can be used, or done(why) when not."""
        if not self.parameters["tls-creds"]:
            done("")
            return
        link.secure(False, self.parameters["tls-hostname"] or self.address.host, done)

    @property
    def under_way(self) -> bool:
        """Whether a migration from here has begun and not ended."""
        return self.outgoing is not None and self.outgoing.under_way

    def start(self, uri: str) -> None:
        """Begin to migrate from here. Raises QmpError."""
        if self.under_way:
            raise QmpError("There's a migration process in progress")
        runstate = self._machine.board.runstate
        if runstate == INMIGRATE:
            raise QmpError("Guest is waiting for an incoming migration")
        if runstate == POSTMIGRATE:
            raise QmpError("Can't migrate the vm that was paused due to previous migration")
        try:
            sections.must_be_movable(self._machine)
            state.must_travel(self._machine)
        except Refused as refused:
            raise QmpError(str(refused)) from None
        self.outgoing = outgoing = Outgoing(self._machine, self._machine.migration_capabilities)
        outgoing.begins()
        try:
            outgoing.begin(self._parsed(uri))
        except QmpError as error:
            known = "valid migration protocol" not in error.desc
            outgoing.refuse(error.desc if known else "")
            raise

    def into_snapshot(self) -> None:
        """Show a snapshot of the running machine as the latest migration."""
        self.outgoing = Outgoing(self._machine, self._machine.migration_capabilities)
        self.outgoing.into_snapshot()

    def resume(self, uri: str) -> None:
        """Go on with a postcopy that was interrupted. Raises QmpError."""
        if self.outgoing is None or self.outgoing.status != "postcopy-paused":
            raise QmpError("Cannot resume if there is no paused migration")
        self.outgoing.recover(self._parsed(uri))

    def _parsed(self, uri: str) -> Address:
        address = addresses.parse(uri)
        if address is None:
            raise QmpError("Parameter 'uri' expects a valid migration protocol")
        self.address = address
        return address
