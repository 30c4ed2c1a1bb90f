"""QAPI module `misc`: stop and cont, the human monitor, descriptors."""

from __future__ import annotations

from qmpemu.commands import hmp
from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import QmpError


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


@command("getfd")
def getfd(ctx: Context, *, fdname: str) -> object:
    """Name the descriptor that came with this message; an older one of that name is closed."""
    fd = ctx.take_fd()
    if fd is None:
        raise QmpError("No file descriptor supplied via SCM_RIGHTS")
    if fdname[:1].isdigit():
        ctx.machine.host.close_fd(fd)
        raise QmpError("Parameter 'fdname' expects a name not starting with a digit")
    if fdname in ctx.machine.named_fds:
        ctx.machine.host.close_fd(ctx.machine.named_fds[fdname])
    ctx.machine.named_fds[fdname] = fd
    return {}


@command("closefd")
def closefd(ctx: Context, *, fdname: str) -> object:
    """Close a named descriptor."""
    if fdname not in ctx.machine.named_fds:
        raise QmpError(f"File descriptor named '{fdname}' not found")
    ctx.machine.host.close_fd(ctx.machine.named_fds.pop(fdname))
    return {}


@command("rtc-reset-reinjection")
def rtc_reset_reinjection(ctx: Context) -> object:
    """Forget the ticks that the guest missed. The simulated clock never loses one, so there are none to forget."""
    return {}


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
