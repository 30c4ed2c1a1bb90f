"""QAPI module `migration`, the guest's dirty rate: measured; a limit for it needs KVM's dirty ring."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import QmpError


@command("calc-dirty-rate")
def calc_dirty_rate(
    ctx: Context, *, calc_time: int, sample_pages: int | None = None, mode: str = "page-sampling"
) -> object:
    """Measure for `calc_time` seconds, in the background."""
    ctx.machine.migration.dirty_rate.measure(calc_time, sample_pages, mode)
    return {}


@command("query-dirty-rate")
def query_dirty_rate(ctx: Context) -> object:
    """-> the latest measurement."""
    return ctx.machine.migration.dirty_rate.told()


@command("set-vcpu-dirty-limit")
def set_vcpu_dirty_limit(ctx: Context, *, dirty_rate: int, cpu_index: int | None = None) -> object:
    """Slow processors down; only with KVM's dirty ring, which no machine here has."""
    raise QmpError("dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'")


@command("cancel-vcpu-dirty-limit")
def cancel_vcpu_dirty_limit(ctx: Context, *, cpu_index: int | None = None) -> object:
    """Nothing to do: without KVM's dirty ring, which `set-vcpu-dirty-limit` needs, there is no limit (measured)."""
    return {}
