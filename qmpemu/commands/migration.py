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
    wanted = set(ctx.machine.migration_capabilities)
    for each in capabilities:
        (wanted.add if each["state"] else wanted.discard)(str(each["capability"]))
    _check_capabilities(wanted)
    ctx.machine.migration_capabilities = wanted
    return {}


NOT_IN_BACKGROUND = """
    postcopy-ram dirty-bitmaps postcopy-blocktime late-block-activate return-path multifd pause-before-switchover
    auto-converge release-ram rdma-pin-all compress xbzrle x-colo validate-uuid zero-copy-send
""".split()
"""Capabilities that a background snapshot excludes, in the order in which QEMU names them."""


def _check_capabilities(wanted: set[str]) -> None:
    """Refuse what does not go together (measured for each pair)."""
    if {"postcopy-ram", "x-ignore-shared"} <= wanted:
        raise QmpError("Postcopy is not compatible with ignore-shared")
    if "background-snapshot" in wanted:
        for name in NOT_IN_BACKGROUND:
            if name in wanted:
                raise QmpError(f"Background-snapshot is not compatible with {name}")
    if "zero-copy-send" in wanted and ("multifd" not in wanted or wanted & {"compress", "xbzrle"}):
        raise QmpError("Zero copy only available for non-compressed non-TLS multifd migration")
    if "postcopy-preempt" in wanted and "postcopy-ram" not in wanted:
        raise QmpError("Postcopy preempt requires postcopy-ram")
    if {"multifd", "compress"} <= wanted:
        raise QmpError("Multifd is not compatible with compress")


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
