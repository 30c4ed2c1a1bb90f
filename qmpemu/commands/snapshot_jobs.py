"""QAPI module `migration`: internal snapshots as jobs. What `savevm` and its like do, of nodes that are named."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _job(ctx: Context, job: str, kind: str, work: Callable[[], object]) -> object:
    machine = ctx.machine
    if machine.store.has_job(job) or job in machine.own_jobs.rows:
        raise QmpError(f"Job ID '{job}' already in use")
    return machine.own_jobs.run(job, kind, work)


@command("snapshot-save")
def snapshot_save(ctx: Context, *, job_id: str, tag: str, vmstate: str, devices: list[str]) -> object:
    """Take a snapshot of nodes and the guest."""
    snapshots = ctx.machine.snapshots
    return _job(ctx, job_id, "snapshot-save", lambda: snapshots.save_on(tag, vmstate, devices))


@command("snapshot-load")
def snapshot_load(ctx: Context, *, job_id: str, tag: str, vmstate: str, devices: list[str]) -> object:
    """Take nodes and the guest back to one."""
    snapshots = ctx.machine.snapshots
    return _job(ctx, job_id, "snapshot-load", lambda: snapshots.load_on(tag, vmstate, devices))


@command("snapshot-delete")
def snapshot_delete(ctx: Context, *, job_id: str, tag: str, devices: list[str]) -> object:
    """Forget one of nodes."""
    snapshots = ctx.machine.snapshots
    return _job(ctx, job_id, "snapshot-delete", lambda: snapshots.delete_on(tag, devices))
