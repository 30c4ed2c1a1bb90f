"""QAPI module `job`: background jobs. None can be started yet, so the lists are empty, and truly so."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command


@command("query-jobs")
@command("query-block-jobs")
def query_jobs(ctx: Context) -> object:
    """-> every job."""
    return []
