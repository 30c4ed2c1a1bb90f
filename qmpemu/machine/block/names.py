"""Names that QEMU made itself: the back end takes no such name from us, so there it has another.

#block577 here and for clients        qmpemu.block577 in the back end
"""

from __future__ import annotations

from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MADE, THERE = "#block", "qmpemu.block"


def made(options: object) -> set[str]:
    """The names that QEMU made among a node's options."""
    if not isinstance(options, dict):
        return set()
    name = str(options.get("node-name", ""))
    own = {name} if name.startswith(MADE) else set()
    return own | made(options.get("file"))


def inward(value: object, names: set[str]) -> object:
    """A command's arguments as the back end takes them: `names` are those it knows otherwise."""
    if isinstance(value, str):
        return THERE + value.removeprefix(MADE) if value in names else value
    return _through(value, lambda each: inward(each, names))


def outward(value: object) -> object:
    """What the back end said, as clients know it."""
    if isinstance(value, str):
        return value.replace(THERE, MADE)
    if isinstance(value, QmpError):
        return QmpError(value.desc.replace(THERE, MADE), value.cls)
    return _through(value, outward)


def _through(value: object, change: Callable[[object], object]) -> object:
    if isinstance(value, dict):
        return {name: change(each) for name, each in value.items()}
    if isinstance(value, list):
        return [change(each) for each in value]
    return value
