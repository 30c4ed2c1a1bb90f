"""QAPI module `dump`: guest memory, into a file."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.machine.dump import DumpCompleted
from qmpemu.machine.runstate import INMIGRATE
from qmpemu.qmp.errors import QmpError, parameter_missing

ABSENT = ("kdump-lzo", "kdump-snappy")
"""What Debian's QEMU 7.2 was built without."""


@event(DumpCompleted, "DUMP_COMPLETED")
def dump_completed(fact: DumpCompleted) -> dict[str, object]:
    """How far it came, and why it failed."""
    return {"result": fact.told} | ({} if fact.error is None else {"error": fact.error})


@command("query-dump")
def query_dump(ctx: Context) -> object:
    """-> status, and bytes of memory in all and done."""
    return ctx.machine.dump.query()


@command("dump-guest-memory")
def dump_guest_memory(
    ctx: Context,
    *,
    paging: bool,
    protocol: str,
    detach: bool = False,
    begin: int | None = None,
    length: int | None = None,
    format: str = "elf",
) -> object:
    """Write the guest's memory; it stands still meanwhile. `paging` adds nothing: the guest maps no pages."""
    dump = ctx.machine.dump
    if ctx.machine.board.runstate == INMIGRATE:
        raise QmpError("Dump not allowed during incoming migration.")
    if dump.status == "active":
        raise QmpError("There is a dump in process, please wait.")
    if format != "elf" and (paging or begin is not None or length is not None):
        raise QmpError("kdump-compressed format doesn't support paging or filter")
    if begin is not None and length is None:
        raise parameter_missing("length")
    if length is not None and begin is None:
        raise parameter_missing("begin")
    if format in ABSENT:
        raise QmpError(f"{format} is not available now")
    fd = _opened(ctx, protocol)
    if ctx.machine.migrates and ctx.machine.migration.under_way:
        from qmpemu.machine.migration.sections import DUMPING

        ctx.machine.host.close_fd(fd)
        raise QmpError(f"disallowing migration blocker (migration/snapshot in progress) for: {DUMPING}")
    return dump.begin(fd, format, begin, length or 0, detach=detach)


def _opened(ctx: Context, protocol: str) -> int:
    kind, _, name = protocol.partition(":")
    if kind == "fd" and ":" in protocol:
        if name not in ctx.machine.named_fds:
            raise QmpError(f"File descriptor named '{name}' has not been found")
        return ctx.machine.named_fds.pop(name)
    if kind == "file" and ":" in protocol:
        try:
            return ctx.machine.host.open_dump(name, 0o400)
        except OSError as error:
            raise QmpError(f"Could not open '{name}': {error.strerror}") from None
    raise QmpError("Invalid parameter 'protocol'")
