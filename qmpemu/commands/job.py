"""QAPI module `job`, and `block-job-*`: background jobs. They run in the real block layer; else there are none."""

from __future__ import annotations

from qmpemu.commands.block_core import real, refuse_unknown
from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.block.happened import (
    BlockFact,
    BlockJobCancelled,
    BlockJobCompleted,
    BlockJobFailed,
    BlockJobPending,
    BlockJobReady,
    JobStatusChanged,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACTS = """
    job-cancel job-complete job-finalize job-pause job-resume block-job-cancel block-job-complete block-job-dismiss
    block-job-finalize block-job-pause block-job-resume block-job-set-speed
""".split()


@command("query-jobs")
def query_jobs(ctx: Context) -> object:
    """-> every job, those included that ended with a back end."""
    store = ctx.machine.store
    own = [dict(row) for row in ctx.machine.own_jobs.rows.values()]
    born = {**store.lost.born, **ctx.machine.own_jobs.born}

    def newest_first(rows: list[Any]) -> list[Any]:
        return sorted(rows, key=lambda row: born.get(row["id"], 0), reverse=True)

    others = [*own, *store.lost.rows.values()]
    if not store.up:
        return newest_first(others)

    def told(jobs: object) -> object:
        if not isinstance(jobs, list):
            return jobs
        for job in jobs:
            if "error" in job:
                job["error"] = store.holders.worded(job["error"])
        return newest_first([*jobs, *others])

    return store.ask("query-jobs", {}, told)


@command("query-block-jobs")
def query_block_jobs(ctx: Context) -> object:
    """-> every block job."""
    store = ctx.machine.store
    return store.ask("query-block-jobs", {}, store.working.shown) if store.up else []


@command("job-dismiss")
def job_dismiss(ctx: Context, *, id: str) -> object:
    """Forget a concluded job."""
    if id in ctx.machine.store.lost.rows:
        ctx.machine.store.lost.dismiss(id)
        return {}
    if id in ctx.machine.own_jobs.rows:
        ctx.machine.own_jobs.dismiss(id)
        return {}
    return _act(ctx, "job-dismiss", {"id": id})


def _act(ctx: Context, name: str, arguments: dict[str, object]) -> object:
    module, _, verb = name.partition("-")
    job = str(arguments.get("id"))
    if module == "job" and job in ctx.machine.own_jobs.rows:
        raise ctx.machine.own_jobs.refuse(job, verb)
    if not ctx.machine.store_up:
        refuse_unknown(ctx, name, arguments)
    return real(ctx, name, arguments)


def _register(name: str) -> None:
    @command(name)
    def act(ctx: Context, **arguments: object) -> object:
        return _act(ctx, name, {key.replace("_", "-"): value for key, value in arguments.items()})


for _name in ACTS:
    _register(_name)


@event(JobStatusChanged, "JOB_STATUS_CHANGE")
@event(BlockJobReady, "BLOCK_JOB_READY")
@event(BlockJobCompleted, "BLOCK_JOB_COMPLETED")
@event(BlockJobCancelled, "BLOCK_JOB_CANCELLED")
@event(BlockJobFailed, "BLOCK_JOB_ERROR")
@event(BlockJobPending, "BLOCK_JOB_PENDING")
def job_told(fact: BlockFact) -> dict[str, object]:
    """As the real block layer told it."""
    return fact.told
