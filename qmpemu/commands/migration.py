"""QAPI module `migration`: capabilities. Migration itself is not emulated yet and says so."""

from __future__ import annotations

from json import loads

from qmpemu.commands.registry import Context, command
from qmpemu.machine.runstate import INMIGRATE
from qmpemu.qmp.errors import QmpError, not_emulated


@command("query-migrate-capabilities")
def query_migrate_capabilities(ctx: Context) -> object:
    """-> every capability of the recorded version and whether it is on."""
    on = ctx.machine.migration_capabilities
    return [{"capability": name, "state": name in on} for name in _names(ctx)]


@command("migrate-set-capabilities")
def migrate_set_capabilities(ctx: Context, *, capabilities: list[dict[str, object]]) -> object:
    """Switch capabilities on or off."""
    on = ctx.machine.migration_capabilities
    for each in capabilities:
        (on.add if each["state"] else on.discard)(str(each["capability"]))
    return {}


@command("query-migrate")
def query_migrate(ctx: Context) -> object:
    """-> {}: no migration has been started."""
    return {}


@command("migrate")
def migrate(ctx: Context, *, uri: str, **options: object) -> object:
    """Move the machine elsewhere; refused while it waits to come from elsewhere itself."""
    if ctx.machine.board.runstate == INMIGRATE:
        raise QmpError("Guest is waiting for an incoming migration")
    raise not_emulated("migrate")


def _names(ctx: Context) -> list[str]:
    config = ctx.machine.config
    recorded = ctx.profile.reply(config.family, config.accel, "query-migrate-capabilities", None)
    assert isinstance(recorded, bytes)
    return [row["capability"] for row in loads(recorded)]
