"""QAPI module `qdev`: plugging devices in and taking them out."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.core.options import is_identifier
from qmpemu.machine.devices.catalog import CPU_SUFFIX
from qmpemu.machine.devices.table import PERIPHERAL, DeviceRemoved, DeviceUnplugRefused
from qmpemu.machine.qom import NotFound
from qmpemu.qmp.encode import number
from qmpemu.qmp.errors import QmpError, device_not_found


@command("device_add")
def device_add(ctx: Context, **options: object) -> object:
    """Plug a device in. Options are free in form: numbers and switches stand for their texts, the rest is dropped."""
    identity = options.get("id")
    if isinstance(identity, str) and not is_identifier(identity):
        raise QmpError("Parameter 'id' expects an identifier")
    texts: dict[str, object] = {
        name: text for name, value in options.items() if (text := _text(value)) is not None
    }
    if not isinstance(identity, str):
        texts.pop("id", None)
    if "driver" not in texts:
        raise QmpError("Parameter 'driver' is missing")
    ctx.machine.plugging.add(texts)
    return {}


@command("device_del")
def device_del(ctx: Context, *, id: str) -> object:
    """Ask for a device to be taken out; DEVICE_DELETED tells when it is."""
    if ctx.machine.devices.at(id) is None:
        refuse_device(ctx, id)
    ctx.machine.plugging.remove(id)
    return {}


@event(DeviceRemoved, "DEVICE_DELETED")
def device_deleted(fact: DeviceRemoved) -> dict[str, object]:
    """A device is gone; device: its id, absent where it had none."""
    return {"path": fact.path} if fact.id is None else {"device": fact.id, "path": fact.path}


@event(DeviceUnplugRefused, "DEVICE_UNPLUG_GUEST_ERROR")
def device_unplug_guest_error(fact: DeviceUnplugRefused) -> dict[str, object]:
    """The guest keeps the device."""
    return {"path": fact.path} if fact.id is None else {"device": fact.id, "path": fact.path}


def refuse_device(ctx: Context, id_or_path: str) -> None:
    """What has the name may be no device, or nothing at all; an empty name is the container of them."""
    path = id_or_path if id_or_path.startswith("/") else f"{PERIPHERAL}/{id_or_path}"
    try:
        _, found = ctx.machine.qom.find(path)
    except NotFound:
        raise device_not_found(id_or_path) from None
    if found.type_name.endswith(CPU_SUFFIX):
        raise QmpError("Boot CPU is unpluggable")
    if "parent_bus" in found.values:
        bus = str(found.values["parent_bus"]).rpartition("/")[2].replace("sysbus", "main-system-bus")
        raise QmpError(f"Bus '{bus}' does not support hotplugging")
    raise QmpError(f"{id_or_path} is not a hotpluggable device")


def _text(value: object) -> str | None:
    """An option's text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return number(value)
    return value if isinstance(value, str) else None
