"""The human monitor: the verbs that libvirt and people use, on top of the QMP commands of the same name.

Texts as measured (facts/qmp-wire.md §13); lines end in CRLF. A verb qmpemu does not emulate is said to be so.
"""

from __future__ import annotations

from qmpemu.commands.hmp import (
    added,
    block,
    info,
    info_block,
    info_devices,
    migration,
    nbd,
    own,
    plain,
    properties,
    snapshots,
    topics,
    ui,
    values,
)
from qmpemu.commands.hmp.words import named, words_of
from qmpemu.core.table import Refused
from qmpemu.machine.runstate import RUNNING
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.commands.registry import Context
    from qmpemu.qmp.later import Later

VERBS = {
    "exit_preconfig": "exit_preconfig",
    "cont": "cont|c",
    "c": "cont|c",
    "stop": "stop|s",
    "s": "stop|s",
    "system_reset": "system_reset",
    "system_powerdown": "system_powerdown",
    "system_wakeup": "system_wakeup",
    "nmi": "nmi",
    "quit": "quit|q",
    "q": "quit|q",
}
"""Verb to the names under which QEMU lists it."""

QMP_NAMES = {"nmi": "inject-nmi", "exit_preconfig": "x-exit-preconfig"}
"""The QMP command of a verb, where it differs from the first of its names."""


def run(ctx: Context, line: str) -> str | Later:
    """Run one line and return what the monitor would print, or will."""
    if not line.strip():
        return ""
    verb, rest = named(line)
    if own.too_early(ctx, "verbs", verb):
        return _early(verb)
    if verb == "info":
        return _info(ctx, line, rest)
    shown = values.run(ctx, verb, rest)
    if shown is not None:
        return shown
    words = words_of(rest)
    for others in (
        own.run,
        ui.run,
        snapshots.run,
        block.run,
        added.run,
        migration.run,
        plain.run,
        nbd.run,
        properties.run,
    ):
        told = others(ctx, verb, words)
        if told is not None:
            return told
    names = VERBS.get(verb)
    if names is None:
        return _unknown(ctx, "verbs", verb, line[: len(line) - len(rest)])
    if words:
        return _extraneous(names, verb)
    name = names.partition("|")[0]
    try:
        ctx.commands(QMP_NAMES.get(name, name), {})
    except (Refused, QmpError) as error:
        return f"Error: {error}\r\n"
    return ""


def _info(ctx: Context, line: str, rest: str) -> str | Later:
    if not rest.strip():
        return own.listing(ctx, "info")
    name, rest = named(rest)
    typed, words = line[: len(line) - len(rest)], words_of(rest)
    if own.too_early(ctx, "info", name):
        return _early(typed)
    if name == "block":
        return info_block.block(ctx, words)
    if name == "qom-tree":
        return info_devices.tree(ctx, words)
    shown = topics.run(ctx, name, words)
    if shown is not None:
        return shown
    show = INFO.get(name)
    if show is None:
        return _unknown(ctx, "info", name, typed)
    if words:
        return _extraneous(name, f"info {name}")
    try:
        return show(ctx)
    except QmpError as error:
        return f"Error: {error}\r\n"


def _early(typed: str) -> str:
    return f"Command '{typed}' not available until machine initialization has completed.\r\n"


def _unknown(ctx: Context, kind: str, name: str, typed: str) -> str:
    known = (alias for names in ctx.profile.monitor_commands()[kind] for alias in names.split("|"))
    if name != "info" and name in known:
        return f"qmpemu does not emulate the command '{typed.strip()}'\r\n"
    return f"unknown command: '{typed}'\r\n"


def _extraneous(names: str, typed: str) -> str:
    return f'{names}: extraneous characters at the end of line\r\nTry "help {typed}" for more information\r\n'


def _info_status(ctx: Context) -> str:
    state = ctx.machine.board.runstate
    if state == RUNNING:
        return "VM status: running\r\n"
    return "VM status: paused\r\n" if state == "paused" else f"VM status: paused ({state})\r\n"


def _info_version(ctx: Context) -> str:
    qemu = ctx.profile.version
    return f"{qemu['major']}.{qemu['minor']}.{qemu['micro']}{ctx.profile.package}\r\n"


def _info_name(ctx: Context) -> str:
    name = ctx.machine.config.name
    return f"{name}\r\n" if name is not None else ""


def _info_uuid(ctx: Context) -> str:
    return f"{ctx.machine.config.uuid}\r\n"


def _info_kvm(ctx: Context) -> str:
    return f"kvm support: {'enabled' if ctx.machine.config.accel == 'kvm' else 'disabled'}\r\n"


INFO: dict[str, Callable[[Context], str | Later]] = {
    "status": _info_status,
    "version": _info_version,
    "name": _info_name,
    "uuid": _info_uuid,
    "kvm": _info_kvm,
    **ui.INFO,
    **snapshots.INFO,
    **migration.INFO,
    **info.INFO,
    "history": own.history,
    "dirty_rate": topics.dirty_rate,
}
