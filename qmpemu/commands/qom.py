"""QAPI module `qom`: walking the object tree. Types and their properties are recorded; objects are this machine's."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.machine.qom import NotFound, Object
from qmpemu.qmp.errors import device_not_found


def _find(ctx: Context, path: str) -> Object:
    try:
        return ctx.machine.qom.find(path)
    except NotFound:
        raise device_not_found(path) from None


@command("qom-list")
def qom_list(ctx: Context, *, path: str) -> object:
    """-> name and type of each property and child of the object at `path`."""
    return _find(ctx, path).listing()


@command("qom-get")
def qom_get(ctx: Context, *, path: str, property: str) -> object:
    """-> the property's value."""
    return _find(ctx, path).get(property)


@command("qom-set")
def qom_set(ctx: Context, *, path: str, property: str, value: object) -> object:
    """Set a property of a live object."""
    _find(ctx, path).set(property, value, path.rpartition("/")[2])
    return {}
