"""A SPICE server as far as clients of the monitor see it: its address, its password, a migration that it is told of.

No screen is served: whoever connects is told of an error (`edge.spice`). Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.facts import Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.core.facts import Bus

LIBRARY = "0.15.1"
"""The version of libspice that the recorded QEMU was built with."""
EVERYWHERE = "*"


class SpiceMigrated(Fact):
    """Every SPICE client has followed the machine to its new host."""


class Spice:
    """One server. options: as in -spice. auth: none, spice or sasl; port: None where it listens on none."""

    __slots__ = ("auth", "host", "migrated", "moves", "options", "password", "port", "typed")

    def __init__(self, options: dict[str, str], typed: str) -> None:
        self.options = options
        self.typed = typed
        self.host = options.get("addr", EVERYWHERE)
        unix = options.get("unix") in ("on", "yes", "true", "y")
        self.port = None if unix else int(options.get("port", "0")) or None
        self.password: str | None = options.get("password")
        self.migrated = False
        self.moves = False
        """Whether clients were told where the machine will go."""
        if options.get("sasl") in ("on", "yes", "true", "y"):
            self.auth = "sasl"
        else:
            open_to_all = options.get("disable-ticketing") in ("on", "yes", "true", "y")
            self.auth = "none" if open_to_all else "spice"

    def members(self) -> dict[str, object]:
        """As SpiceInfo."""
        return {
            "enabled": True,
            "migrated": self.migrated,
            "host": self.host,
            **({"port": self.port} if self.port is not None else {}),
            "auth": self.auth,
            "compiled-version": LIBRARY,
            "mouse-mode": "server",
            "channels": [],
        }

    def migration_completed(self, facts: Bus) -> None:
        """The machine has gone; there is no client that could lag behind."""
        if self.moves:
            self.moves, self.migrated = False, True
            facts.publish(SpiceMigrated())
