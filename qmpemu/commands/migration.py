"""QAPI module `migration`: capabilities, parameters, both ends of a migration, the dirty rate, and their events.

Everything but capabilities is imported when it is first used: a start under libvirt asks only for those.
"""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.migration.facts import MigrationMovedTold, MigrationPassedTold
from qmpemu.machine.runstate import INMIGRATE
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_IN_BACKGROUND = """
    postcopy-ram dirty-bitmaps postcopy-blocktime late-block-activate return-path multifd pause-before-switchover
    auto-converge release-ram rdma-pin-all compress xbzrle x-colo validate-uuid zero-copy-send
""".split()
"""Capabilities that a background snapshot excludes, in the order in which QEMU names them."""

NO_ZERO_COPY = "Zero copy only available for non-compressed non-TLS multifd migration"

NOT_CARRIED = ("block", "x-colo", "background-snapshot")
"""Capabilities that can be set, and with which no migration is begun: their work is not emulated."""


@command("query-migrate-capabilities")
def query_migrate_capabilities(ctx: Context) -> object:
    """-> every capability of the recorded version and whether it is on."""
    on = ctx.machine.migration_capabilities
    return [{"capability": name, "state": name in on} for name in _names(ctx)]


@command("migrate-set-capabilities")
def migrate_set_capabilities(ctx: Context, *, capabilities: list[dict[str, object]]) -> object:
    """Switch capabilities on or off."""
    if ctx.machine.migrates and ctx.machine.migration.under_way:
        raise QmpError("There's a migration process in progress")
    wanted = set(ctx.machine.migration_capabilities)
    for each in capabilities:
        (wanted.add if each["state"] else wanted.discard)(str(each["capability"]))
    _check_capabilities(wanted)
    if "zero-copy-send" in wanted and ctx.machine.migrates:
        _check_zero_copy(ctx.machine.migration.parameters.all())
    ctx.machine.migration_capabilities = wanted
    return {}


def _check_capabilities(wanted: set[str]) -> None:
    """Refuse what does not go together (measured for each pair)."""
    if {"postcopy-ram", "x-ignore-shared"} <= wanted:
        raise QmpError("Postcopy is not compatible with ignore-shared")
    if "background-snapshot" in wanted:
        for name in NOT_IN_BACKGROUND:
            if name in wanted:
                raise QmpError(f"Background-snapshot is not compatible with {name}")
    if "zero-copy-send" in wanted and ("multifd" not in wanted or wanted & {"compress", "xbzrle"}):
        raise QmpError(NO_ZERO_COPY)
    if "postcopy-preempt" in wanted and "postcopy-ram" not in wanted:
        raise QmpError("Postcopy preempt requires postcopy-ram")
    if {"multifd", "compress"} <= wanted:
        raise QmpError("Multifd is not compatible with compress")


def _check_zero_copy(parameters: dict[str, Any]) -> None:
    if parameters.get("tls-creds") or parameters.get("multifd-compression", "none") != "none":
        raise QmpError(NO_ZERO_COPY)


@command("query-migrate-parameters")
def query_migrate_parameters(ctx: Context) -> object:
    """-> every parameter of the recorded version."""
    return ctx.machine.migration.parameters.all()


@command("migrate-set-parameters")
def migrate_set_parameters(ctx: Context, **parameters: object) -> object:
    """Change parameters, all or none; a migration under way goes by the new ones."""
    given = {name.replace("_", "-"): value for name, value in parameters.items()}
    if "zero-copy-send" in ctx.machine.migration_capabilities:
        _check_zero_copy(given)
    ctx.machine.migration.parameters.change(given)
    return {}


@command("query-migrate")
def query_migrate(ctx: Context) -> object:
    """-> status and figures of the latest migration, and what would block another."""
    from qmpemu.machine.migration import figures

    return figures.of(ctx.machine, ctx.machine.host_ns())


@command("migrate")
def migrate(
    ctx: Context,
    *,
    uri: str,
    blk: bool = False,
    inc: bool = False,
    detach: bool = False,
    resume: bool = False,
) -> object:
    """Move the guest elsewhere, in the background: the reply only says that it has begun."""
    if resume:
        ctx.machine.migration.resume(uri)
        return {}
    if blk or inc:
        raise not_emulated("migrate with blk or inc")
    for name in NOT_CARRIED:
        if name in ctx.machine.migration_capabilities:
            raise not_emulated(f"migrate with the capability {name}")
    if "dirty-bitmaps" in ctx.machine.migration_capabilities and _has_bitmaps(ctx):
        raise not_emulated("migrate with the capability dirty-bitmaps and bitmaps to send")
    ctx.machine.migration.start(uri)
    return {}


def _has_bitmaps(ctx: Context) -> bool:
    """Whether a node has a bitmap. Those that are persistent go along in their images."""
    nodes = ctx.machine.store.do("query-named-block-nodes", {"flat": True}) if ctx.machine.store_up else []
    return isinstance(nodes, list) and any(row.get("dirty-bitmaps") for row in nodes)


@command("migrate_cancel")
def migrate_cancel(ctx: Context) -> object:
    """Give up the migration that is under way, if one is."""
    if ctx.machine.migrates and ctx.machine.migration.outgoing is not None:
        ctx.machine.migration.outgoing.cancel()
    return {}


@command("migrate-continue")
def migrate_continue(ctx: Context, *, state: str) -> object:
    """Go on from `state`, at which the migration waits (pre-switchover)."""
    outgoing = ctx.machine.migration.outgoing
    if outgoing is not None:
        outgoing.resume(state)
    elif state != "none":
        raise QmpError("Migration not in expected state: none")
    return {}


@command("migrate-start-postcopy")
def migrate_start_postcopy(ctx: Context) -> object:
    """Let the destination run the guest before all of its memory has come."""
    outgoing = ctx.machine.migration.outgoing
    if outgoing is None:
        if "postcopy-ram" in ctx.machine.migration_capabilities:
            raise QmpError("Postcopy must be started after migration has been started")
        raise QmpError("Enable postcopy with migrate_set_capability before the start of migration")
    outgoing.start_postcopy()
    return {}


@command("migrate-pause")
def migrate_pause(ctx: Context) -> object:
    """Interrupt postcopy, on either end."""
    migration = ctx.machine.migration
    if migration.outgoing is not None:
        migration.outgoing.pause()
    else:
        migration.incoming.pause()
    return {}


@command("migrate-recover")
def migrate_recover(ctx: Context, *, uri: str) -> object:
    """Wait at `uri` for the source of an interrupted postcopy."""
    ctx.machine.migration.incoming.recover(uri)
    return {}


@command("migrate-incoming")
def migrate_incoming(ctx: Context, *, uri: str) -> object:
    """Wait at `uri` for the guest (-incoming defer)."""
    if ctx.machine.config.incoming is None:
        raise QmpError("'-incoming' was not specified on the command line")
    incoming = ctx.machine.migration.incoming
    if ctx.machine.board.runstate != INMIGRATE or ctx.machine.config.incoming != "defer" or incoming.started:
        raise QmpError("The incoming migration has already been started")
    incoming.start(uri)
    return {}


@event(MigrationMovedTold, "MIGRATION")
def migration(fact: MigrationMovedTold) -> dict[str, object]:
    """status: MigrationStatus."""
    return {"status": fact.status}


@event(MigrationPassedTold, "MIGRATION_PASS")
def migration_pass(fact: MigrationPassedTold) -> dict[str, object]:
    """pass: from 1."""
    return {"pass": fact.number}


def _names(ctx: Context) -> list[str]:
    from json import loads

    config = ctx.machine.config
    recorded = ctx.profile.reply(config.family, config.accel, "query-migrate-capabilities", None)
    assert isinstance(recorded, bytes)
    return [row["capability"] for row in loads(recorded)]
