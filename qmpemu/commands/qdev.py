"""QAPI module `qdev`: plugging devices in. Refusals are the real one's; plugging itself is not emulated yet."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.machine.block import is_identifier
from qmpemu.qmp.encode import number
from qmpemu.qmp.errors import QmpError, not_emulated


@command("device_add")
def device_add(ctx: Context, **options: object) -> object:
    """Plug a device in. Options are free in form: numbers and switches stand for their texts, the rest is dropped."""
    identity = options.get("id")
    if isinstance(identity, str) and not is_identifier(identity):
        raise QmpError("Parameter 'id' expects an identifier")
    driver = _text(options.get("driver"))
    if driver is None:
        raise QmpError("Parameter 'driver' is missing")
    is_abstract = ctx.profile.device_types().get(driver)
    if is_abstract is None:
        raise QmpError(f"'{driver}' is not a valid device model name")
    if is_abstract:
        raise QmpError("Parameter 'driver' expects a non-abstract device type")
    raise not_emulated("device_add")


def _text(value: object) -> str | None:
    """An option's text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return number(value)
    return value if isinstance(value, str) else None
