"""QAPI module `misc`: stop and cont, the human monitor, descriptors."""

from __future__ import annotations

from qmpemu.commands import hmp
from qmpemu.commands.registry import Context, command


@command("stop")
def stop(ctx: Context) -> object:
    """Pause the machine."""
    ctx.machine.board.stop()
    return {}


@command("cont")
def cont(ctx: Context) -> object:
    """Let the machine run."""
    ctx.machine.board.cont()
    return {}


@command("human-monitor-command")
def human_monitor_command(ctx: Context, *, command_line: str, cpu_index: int | None = None) -> object:
    """Run one line of the human monitor; its output is the reply, errors included."""
    return hmp.run(ctx, command_line)


@command("query-iothreads")
def query_iothreads(ctx: Context) -> object:
    """-> one row per `-object iothread`, with a thread that really exists."""
    return [
        {
            "id": options["id"],
            "thread-id": ctx.machine.host.thread_id(str(options["id"])),
            "poll-max-ns": 32768,
            "poll-grow": 0,
            "poll-shrink": 0,
            "aio-max-batch": 0,
        }
        for options in ctx.machine.config.objects
        if options["qom-type"] == "iothread"
    ]
