"""What `info` of the human monitor shows of devices, memory and jobs; texts as measured on QEMU 7.2.

What depends on more than is kept here (a back end's own description) is said to be not emulated.
"""

from __future__ import annotations

from qmpemu.commands.hmp import info_block, info_devices, info_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmpemu.commands.registry import Context
    from qmpemu.qmp.later import Later

MIB = 1 << 20


def _asked(ctx: Context, command: str) -> Any:
    return ctx.commands(command, {})


# --- devices --------------------------------------------------------------------------------------------------


def _chardev(ctx: Context) -> str:
    return "".join(f"{row['label']}: filename={row['filename']}\r\n" for row in _asked(ctx, "query-chardev"))


def _qtree(ctx: Context) -> str:
    from qmpemu.commands.hmp import info_qtree

    return info_qtree.show(ctx)


# --- processors, memory, jobs ---------------------------------------------------------------------------------


def _cpus(ctx: Context) -> str:
    rows = _asked(ctx, "query-cpus-fast")
    current = ctx.asker.cpu if ctx.asker is not None else 0
    return "".join(
        f"{'*' if row['cpu-index'] == current else ' '} CPU #{row['cpu-index']}: thread_id={row['thread-id']}\r\n"
        for row in rows
    )


def _iothreads(ctx: Context) -> str:
    shown = ("thread_id", "poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch")
    return "".join(
        f"{row['id']}:\r\n" + "".join(f"  {key}={row[key.replace('_', '-')]}\r\n" for key in shown)
        for row in _asked(ctx, "query-iothreads")
    )


def _balloon(ctx: Context) -> str:
    return f"balloon: actual={_asked(ctx, 'query-balloon')['actual'] // MIB}\r\n"


def _memory_size(ctx: Context) -> str:
    row = _asked(ctx, "query-memory-size-summary")
    return f"base memory: {row['base-memory']}\r\nplugged memory: {row['plugged-memory']}\r\n"


def _sev(ctx: Context) -> str:
    return "SEV is not enabled\r\n"


def _tpm(ctx: Context) -> str:
    lines = []
    for number, row in enumerate(_asked(ctx, "query-tpm")):
        options = row["options"]
        lines += [
            f" tpm{number}: model={row['model']}",
            f"  \\ {row['id']}: type={options['type']},chardev={options['data']['chardev']}",
        ]
    return "".join(f"{line}\r\n" for line in (["TPM device:", *lines] if lines else []))


INFO: dict[str, Callable[[Context], str | Later]] = {
    "network": info_network.network,
    "chardev": _chardev,
    "cpus": _cpus,
    "iothreads": _iothreads,
    "balloon": _balloon,
    "memory_size_summary": _memory_size,
    "block-jobs": info_block.jobs,
    "blockstats": info_block.stats,
    "qtree": _qtree,
    "sev": _sev,
    "tpm": _tpm,
    **info_devices.INFO,
}
