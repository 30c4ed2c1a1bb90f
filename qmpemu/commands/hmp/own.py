"""What the human monitor says of itself: help, its history, the processor it looks at; as measured on QEMU 7.2."""

from __future__ import annotations

from qmpemu.commands.hmp.words import Misread, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.commands.registry import Context

VERBS = ("help", "?", "cpu", "log")
EARLY = {
    "verbs": frozenset(
        """
        block_job_cancel block_job_complete block_job_pause block_job_resume block_job_set_speed block_resize
        block_set_io_throttle block_stream closefd exit_preconfig getfd help|? info nbd_server_add nbd_server_remove
        nbd_server_start nbd_server_stop netdev_add netdev_del object_add object_del qom-get qom-list qom-set quit|q
        """.split()
    ),
    "info": frozenset(
        """
        chardev history hotpluggable-cpus iothreads memdev name qom-tree status uuid version virtio
        virtio-queue-element virtio-queue-status virtio-status virtio-vhost-queue-status
        """.split()
    ),
}
"""What there is before x-exit-preconfig."""


def run(ctx: Context, verb: str, words: list[str]) -> str | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in VERBS:
        return None
    return {"cpu": _cpu, "log": _log}.get(verb, _help)(ctx, words)


def listing(ctx: Context, kind: str) -> str:
    """All `verbs`, or all topics of `info`."""
    return "".join(_listed(ctx, kind).values())


def too_early(ctx: Context, kind: str, name: str) -> bool:
    """Whether a verb, or a topic of `info`, is not there before the machine is."""
    if not ctx.machine.preconfig:
        return False
    known = _names(ctx.profile.monitor_commands()[kind])
    return name in known and name not in _names(dict.fromkeys(EARLY[kind], ""))


def _listed(ctx: Context, kind: str) -> dict[str, str]:
    listed = ctx.profile.monitor_commands()[kind]
    if not ctx.machine.preconfig:
        return listed
    return {names: text for names, text in listed.items() if names in EARLY[kind]}


def _names(listed: dict[str, str]) -> dict[str, str]:
    return {alias: text for names, text in listed.items() for alias in names.split("|")}


def _help(ctx: Context, words: list[str]) -> str:
    if not words:
        return listing(ctx, "verbs")
    if words[0] == "log":
        return ctx.profile.monitor_commands()["log"]["help"]
    kind = "info" if words[0] == "info" else "verbs"
    if kind == "info":
        if not words[1:]:
            return listing(ctx, "info")
        words = words[1:]
    text = _names(_listed(ctx, kind)).get(words[0])
    if text is not None:
        return text
    typed = f"info {words[0]}" if kind == "info" else words[0]
    return f"unknown command: '{typed}'\r\n"


def _cpu(ctx: Context, words: list[str]) -> str:
    try:
        index = int(read("cpu", "index:i", words)["index"])
    except Misread as error:
        return f'{error}\r\nTry "help cpu" for more information\r\n'
    if ctx.machine.config.family == "none" or index not in ctx.machine.devices.processors.present():
        return "invalid CPU index\r\n"
    if ctx.asker is not None:
        ctx.asker.cpu = index
    return ""


def _log(ctx: Context, words: list[str]) -> str:
    """Nothing is logged, as `none` asks; of items there is a list."""
    try:
        items = read("log", "items:s", words)["items"]
    except Misread as error:
        return f'{error}\r\nTry "help log" for more information\r\n'
    if items == "none":
        return ""
    listed = ctx.profile.monitor_commands()["log"]["help"]
    known = {line.split()[0] for line in listed.splitlines() if line[:1].isalpha()}
    if known.issuperset(items.split(",")) or items.startswith("trace:"):
        return "qmpemu does not emulate the command 'log'\r\n"
    return listed


def history(ctx: Context) -> str:
    """The lines that were typed on this monitor; none for a command that came by QMP."""
    lines = ctx.asker.history if ctx.asker is not None else []
    return "".join(f"{place}: '{line}'\r\n" for place, line in enumerate(lines))
