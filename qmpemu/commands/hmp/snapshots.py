"""The human monitor's verbs for internal snapshots, as libvirt sends them (facts/libvirt.md §2c)."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.commands.registry import Context

VERBS = {"savevm": 0, "loadvm": 1, "delvm": 1}
"""How many names a verb must have."""


def run(ctx: Context, verb: str, words: list[str]) -> str | None:
    """What is shown; None for a verb of others."""
    if verb not in VERBS:
        return None
    if len(words) < VERBS[verb] or '"' in words:
        return f'{verb}: string expected\r\nTry "help {verb}" for more information\r\n'
    if len(words) > 1:
        return (
            f'{verb}: extraneous characters at the end of line\r\nTry "help {verb}" for more information\r\n'
        )
    snapshots = ctx.machine.snapshots
    acts: dict[str, Callable[[], object]] = {
        "savevm": lambda: snapshots.save(words[0] if words else None),
        "loadvm": lambda: snapshots.load(words[0]),
        "delvm": lambda: snapshots.delete(words[0]),
    }
    try:
        acts[verb]()
    except (Refused, QmpError) as error:
        return f"Error: {error}\r\n"
    return ""


def names(ctx: Context) -> list[str]:
    """The ids and tags that loadvm and delvm take; none where there is no place for snapshots."""
    try:
        return ctx.machine.snapshots.names()
    except (Refused, QmpError):
        return []


def info(ctx: Context) -> str:
    """`info snapshots`."""
    try:
        return ctx.machine.snapshots.listing()
    except (Refused, QmpError) as error:
        return f"{error}\r\n"


INFO: dict[str, Callable[[Context], str]] = {"snapshots": info}
