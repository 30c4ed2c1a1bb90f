"""The human monitor's verbs for drives, nodes and block jobs. Texts as measured on QEMU 7.2.

`device` is the name of a -drive in most of them. What the real block layer does is answered when that has.
"""

from __future__ import annotations

from qmpemu.commands.hmp.words import answered
from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.commands.registry import Context

    Given = dict[str, str]

JOB = "device:B"
PARAMETERS = {
    "block_stream": "device:B speed:o? base:s?",
    "block_job_set_speed": "device:B speed:o",
    "block_job_cancel": "force:!f device:B",
    "block_job_complete": JOB,
    "block_job_pause": JOB,
    "block_job_resume": JOB,
    "block_resize": "device:B size:o",
    "block_set_io_throttle": "device:B bps:l bps_rd:l bps_wr:l iops:l iops_rd:l iops_wr:l",
    "commit": JOB,
    "eject": "force:!f device:B",
    "drive_mirror": "reuse:!n full:!f device:B target:s format:s?",
    "drive_backup": "reuse:!n full:!f compress:!c device:B target:s format:s?",
    "drive_del": JOB,
    "snapshot_blkdev": "reuse:!n device:B snapshot-file:s? format:s?",
    "snapshot_blkdev_internal": "device:B name:s",
    "snapshot_delete_blkdev_internal": "device:B name:s id:s?",
}
READ_ONLY_MODES = ("retain", "read-only", "read-write")


def run(ctx: Context, verb: str, words: list[str]) -> str | Later | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in PARAMETERS:
        return None
    return answered(verb, PARAMETERS[verb], words, lambda given: VERBS[verb](ctx, given))


def when_told(result: object, show: Callable[[object], str], before: str = "Error: ") -> str | Later:
    """What is shown of a command's result, which may come later. before: what stands before an error."""

    def text(outcome: object) -> str:
        return f"{before}{outcome.desc}\r\n" if isinstance(outcome, QmpError) else show(outcome)

    if not isinstance(result, Later):
        return text(result)
    later = Later()
    result.when_finished(lambda outcome: later.finish(text(outcome)))
    return later


def _nothing(outcome: object) -> str:
    return ""


def _plain(command: str) -> Callable[[Context, Given], str | Later]:
    """A verb that does what a QMP command does."""

    def verb(ctx: Context, given: Given) -> str | Later:
        numbers = ("speed", "size")
        members: dict[str, object] = {
            name: int(value) if name in numbers else True if name == "force" else value
            for name, value in given.items()
        }
        return when_told(ctx.commands(command, members), _nothing)

    return verb


def _stream(ctx: Context, given: Given) -> str | Later:
    return _plain("block-stream")(ctx, {**given, "job-id": given["device"]})


def _copy(command: str) -> Callable[[Context, Given], str | Later]:
    """drive_mirror and drive_backup."""

    def verb(ctx: Context, given: Given) -> str | Later:
        members: dict[str, object] = {
            "device": given["device"],
            "target": given["target"],
            "sync": "full" if "full" in given else "top",
            "mode": _mode(given),
        }
        if "format" in given:
            members["format"] = given["format"]
        if "compress" in given:
            members["compress"] = True
        return when_told(ctx.commands(command, members), _nothing)

    return verb


def _mode(given: Given) -> str:
    return "existing" if "reuse" in given else "absolute-paths"


def _snapshot(ctx: Context, given: Given) -> str | Later:
    if "snapshot-file" not in given:
        raise QmpError("Parameter 'snapshot-file' is missing")
    members: dict[str, object] = {name: value for name, value in given.items() if name != "reuse"}
    return when_told(ctx.commands("blockdev-snapshot-sync", {**members, "mode": _mode(given)}), _nothing)


def _commit(ctx: Context, given: Given) -> str:
    """`all` is all disks with a backing file."""
    from qmpemu.machine.block.commits import CANNOT, commit

    name, blocks = given["device"], ctx.machine.blocks
    drive = blocks.named(name)
    if name != "all" and drive is None:
        return f"Device '{name}' not found\r\n"
    if drive is not None and drive.node is None:
        return f"Device '{name}' has no medium\r\n"
    asked = blocks.drives if name == "all" else [drive]
    nodes = [each.node for each in asked if each is not None and each.node is not None and each.node.backing]
    if any(node.read_only for node in nodes):
        return f"Block node is read-only\r\n'commit' error for '{name}': Operation not permitted\r\n"
    if not nodes:
        return "" if name == "all" else f"'commit' error for '{name}': {CANNOT}\r\n"
    try:
        commit(ctx.machine, nodes)
    except (Refused, QmpError) as error:
        return f"'commit' error for '{name}': {error}\r\n"
    return ""


def _drive_del(ctx: Context, given: Given) -> str | Later:
    """Of a drive, or a node. What names the drive goes; a device that is on it stays."""
    from qmpemu.machine.block import old_drives

    name = given["device"]
    drive = ctx.machine.blocks.named(name)
    if drive is not None:
        old_drives.forget(ctx.machine.blocks, drive)
        return ""
    if name not in ctx.machine.blocks.nodes:
        return f"Device '{name}' not found\r\n"
    try:
        result = ctx.commands("blockdev-del", {"node-name": name})
    except (Refused, QmpError) as error:
        return f"{error}\r\n"
    return when_told(result, _nothing, before="")


def _throttle(ctx: Context, given: Given) -> str | Later:
    limits = {name: int(value) for name, value in given.items() if name != "device"}
    by = "device" if ctx.machine.blocks.named(given["device"]) is not None else "id"
    return when_told(ctx.commands("block_set_io_throttle", {by: given["device"], **limits}), _nothing)


def change(ctx: Context, given: Given) -> str | Later:
    """A file into the drive of a -drive."""
    mode = given.get("read-only-mode", "retain")
    if given.get("read-only-mode") is not None and mode not in READ_ONLY_MODES:
        raise QmpError(f"invalid parameter value: {mode}")
    members: dict[str, object] = {
        "device": given["device"],
        "filename": given["target"],
        "read-only-mode": mode,
    }
    if "arg" in given:
        members["format"] = given["arg"]
    return when_told(ctx.commands("blockdev-change-medium", members), _nothing)


VERBS: dict[str, Callable[[Context, Given], str | Later]] = {
    "block_stream": _stream,
    "block_job_set_speed": _plain("block-job-set-speed"),
    "block_job_cancel": _plain("block-job-cancel"),
    "block_job_complete": _plain("block-job-complete"),
    "block_job_pause": _plain("block-job-pause"),
    "block_job_resume": _plain("block-job-resume"),
    "block_resize": _plain("block_resize"),
    "block_set_io_throttle": _throttle,
    "commit": _commit,
    "eject": _plain("eject"),
    "drive_mirror": _copy("drive-mirror"),
    "drive_backup": _copy("drive-backup"),
    "drive_del": _drive_del,
    "snapshot_blkdev": _snapshot,
    "snapshot_blkdev_internal": _plain("blockdev-snapshot-internal-sync"),
    "snapshot_delete_blkdev_internal": _plain("blockdev-snapshot-delete-internal-sync"),
}
