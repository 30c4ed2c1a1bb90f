"""QAPI module `misc`: stop and cont, the human monitor, descriptors."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.rtc import RtcSet
from qmpemu.machine.runstate import FINISH_MIGRATE, RUNNING, SHUTDOWN
from qmpemu.qmp.errors import QmpError, not_emulated


@command("stop")
def stop(ctx: Context) -> object:
    """Pause the machine."""
    ctx.machine.board.stop()
    return {}


@command("cont")
def cont(ctx: Context) -> object:
    """Let the machine run."""
    if ctx.machine.board.runstate not in STANDS:
        ctx.machine.block_layer.come()
    ctx.machine.disk_errors.resumed()
    ctx.machine.board.cont()
    return {}


STANDS = (SHUTDOWN, FINISH_MIGRATE)
"""States that are not left by `cont`."""


@command("x-exit-preconfig")
def x_exit_preconfig(ctx: Context) -> object:
    """Start the machine that --preconfig has held back."""
    ctx.machine.exit_preconfig()
    return {}


@command("dumpdtb")
def dumpdtb(ctx: Context, *, filename: str) -> object:
    """Write the device tree, which x86 machines have none of."""
    raise QmpError("This machine doesn't have a FDT")


@command("human-monitor-command")
def human_monitor_command(ctx: Context, *, command_line: str, cpu_index: int | None = None) -> object:
    """Run one line of the human monitor; its output is the reply, errors included."""
    config = ctx.machine.config
    if cpu_index is not None and not 0 <= cpu_index < (config.cpus if config.family != "none" else 0):
        raise QmpError("Parameter 'cpu-index' expects a CPU number")
    from qmpemu.commands.hmp import verbs

    shown = verbs.run(ctx, command_line)
    if ctx.asker is None and isinstance(shown, str):  # JSON has no bytes that are no text
        return shown.encode(errors="surrogateescape").decode(errors="replace")
    return shown


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


@command("add-fd")
def add_fd(ctx: Context, *, fdset_id: int | None = None, opaque: str | None = None) -> object:
    """Put the descriptor that came with this message into a set. -> its number and the set's id."""
    fd = ctx.take_fd()
    if fd is None:
        raise QmpError("No file descriptor supplied via SCM_RIGHTS")
    if fdset_id is not None and fdset_id < 0:
        ctx.machine.host.close_fd(fd)
        raise QmpError("Parameter 'fdset-id' expects a non-negative value")
    return {"fd": fd, "fdset-id": ctx.machine.fdsets.add(fd, fdset_id, opaque)}


@command("remove-fd")
def remove_fd(ctx: Context, *, fdset_id: int, fd: int | None = None) -> object:
    """Remove a descriptor, or all of a set."""
    running = ctx.machine.board.runstate == RUNNING
    if not ctx.machine.fdsets.remove(fdset_id, fd, running=running):
        which = f"fdset-id:{fdset_id}" + (f", fd:{fd}" if fd is not None else "")
        raise QmpError(f"File descriptor named '{which}' not found")
    return {}


@command("query-fdsets")
def query_fdsets(ctx: Context) -> object:
    """-> every set, the highest id first, with its descriptors."""
    rows = []
    for fdset_id, passed in sorted(ctx.machine.fdsets.sets.items(), reverse=True):
        named = [
            {"fd": each.fd, **({"opaque": each.opaque} if each.opaque is not None else {})} for each in passed
        ]
        rows.append({"fds": named, "fdset-id": fdset_id})
    return rows


@command("rtc-reset-reinjection")
def rtc_reset_reinjection(ctx: Context) -> object:
    """Forget the ticks that the guest missed. The simulated clock never loses one, so there are none to forget."""
    return {}


@command("query-iothreads")
def query_iothreads(ctx: Context) -> object:
    """-> one row per I/O thread, with a thread that really exists."""
    ctx.machine.look_for_objects()
    objects = ctx.machine.objects.all
    threads = [name for name, each in objects.items() if each.kind == "iothread"]
    if len(threads) > 1:  # in the order of the object tree, from its end
        rows = ctx.machine.qom.find("/objects")[1].listing()
        threads = [str(each["name"]) for each in reversed(rows) if each["name"] in threads]
    return [
        {
            "poll-shrink": objects[name].values["poll-shrink"],
            "thread-id": ctx.machine.host.thread_id(name),
            "aio-max-batch": objects[name].values["aio-max-batch"],
            "poll-grow": objects[name].values["poll-grow"],
            "poll-max-ns": objects[name].values["poll-max-ns"],
            "id": name,
        }
        for name in threads
    ]


@event(RtcSet, "RTC_CHANGE")
def rtc_change(fact: RtcSet) -> dict[str, object]:
    """offset: seconds from the host's time to the guest's clock, which QEMU 7.2 keeps in 32 bits."""
    return {"offset": (fact.offset_s + 2**31) % 2**32 - 2**31, "qom-path": fact.qom_path}


@command("query-vm-generation-id")
def query_vm_generation_id(ctx: Context) -> object:
    """-> the number that changes when a machine is copied, where the device that tells it was given one."""
    device = next(ctx.machine.devices.of_kind("vmgenid"), None)
    if device is None:
        raise QmpError("VM Generation ID device not found")
    guid = str(device.values.get("guid", "auto")).lower()
    if guid == "auto":
        raise not_emulated("query-vm-generation-id")
    return {"guid": guid}
