"""QAPI module `stats`: figures of the accelerator. Only KVM has any, so without it the real one's lists are empty."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import not_emulated


@command("query-stats")
def query_stats(
    ctx: Context,
    *,
    target: str,
    vcpus: list[str] | None = None,
    providers: list[dict[str, object]] | None = None,
) -> object:
    """-> what is counted of `target`, "vm" or "vcpu": nothing, unless the machine is said to run on KVM."""
    if ctx.machine.config.accel == "kvm":
        raise not_emulated("query-stats")
    return []


@command("query-stats-schemas")
def query_stats_schemas(ctx: Context, *, provider: str | None = None) -> object:
    """-> what can be counted."""
    if ctx.machine.config.accel == "kvm":
        raise not_emulated("query-stats-schemas")
    return []
