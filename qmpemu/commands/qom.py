"""QAPI module `qom`: walking the object tree. Types and their properties are recorded; objects are this machine's."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.core.json_text import loads
from qmpemu.core.options import is_identifier
from qmpemu.machine.devices import memory_backend
from qmpemu.machine.devices.catalog import CPU_SUFFIX
from qmpemu.machine.devices.objects import check_range
from qmpemu.machine.devices.requirements import check_boot_index
from qmpemu.machine.devices.table import PERIPHERAL
from qmpemu.machine.qom import FIXED, Ambiguous, NotFound, Object
from qmpemu.qmp.encode import Raw
from qmpemu.qmp.errors import QmpError, device_not_found, not_emulated
from qmpemu.qmp.order import as_inserted

REGION, ON_BUS = "memory-region", "child["
"""A type of which nothing can be set, and the beginning of a bus's properties that cannot."""


def _find(ctx: Context, path: str) -> tuple[str, Object]:
    try:
        return ctx.machine.qom.find(path)
    except (NotFound, Ambiguous):
        raise device_not_found(path) from None


@command("device-list-properties")
def device_list_properties(ctx: Context, *, typename: str) -> object:
    """-> the recorded properties of a device type."""
    if ctx.profile.device_types().get(typename) is not False and _is_type(ctx, typename):
        raise QmpError("Parameter 'typename' expects a non-abstract device type")
    return _properties(ctx, "device-list-properties", typename, device_not_found(typename))


@command("qom-list-properties")
def qom_list_properties(ctx: Context, *, typename: str) -> object:
    """-> the recorded properties of a type."""
    config = ctx.machine.config
    if config.accel == "tcg" or not typename.endswith(CPU_SUFFIX):  # KVM gives its processors more
        told = ctx.profile.type_properties(typename)
        if isinstance(told, str):
            raise QmpError(told)
        if told is not None:
            return [as_inserted(row) for row in told]
    missing = QmpError(f"Class '{typename}' not found", "DeviceNotFound")
    return _properties(ctx, "qom-list-properties", typename, missing)


def _properties(ctx: Context, name: str, typename: str, missing: QmpError) -> object:
    """A recorded list; for a type without record: not there at all, or there and not recorded."""
    config = ctx.machine.config
    reply = ctx.profile.reply(config.family, config.accel, name, {"typename": typename})
    if isinstance(reply, bytes):
        return Raw(reply)
    if reply is not None:
        raise QmpError(reply.desc, reply.cls)
    if _is_type(ctx, typename):
        raise not_emulated(name)
    raise missing


def _is_type(ctx: Context, typename: str) -> bool:
    types = ctx.profile.reply("none", "tcg", "qom-list-types", {"abstract": True})
    assert isinstance(types, bytes)
    return any(row["name"] == typename for row in loads(types))


@command("qom-list")
def qom_list(ctx: Context, *, path: str) -> object:
    """-> name and type of each property and child of the object at `path`."""
    try:
        return ctx.machine.qom.find(path)[1].listing()
    except NotFound:
        raise device_not_found(path) from None
    except Ambiguous:  # of the commands that take a path only this one tells
        raise QmpError(f"Path '{path}' is ambiguous") from None


@command("qom-get")
def qom_get(ctx: Context, *, path: str, property: str) -> object:
    """-> the property's value."""
    full_path, found = _find(ctx, path)
    ports = ctx.machine.io_ports
    if found.properties.get(property) == "struct tm" and ports is not None:
        return ports.rtc.calendar()
    return found.get(property, full_path)


@command("qom-set")
def qom_set(ctx: Context, *, path: str, property: str, value: object) -> object:
    """Set a property of a live object."""
    full_path, found = _find(ctx, path)
    made = ctx.machine.objects.all.get(full_path.removeprefix("/objects/"))
    known = property in found.properties and full_path.startswith("/objects/")
    if known and memory_backend.can_be_set(found.type_name, property):
        value = memory_backend.changed(found.type_name, found.values, property, value)
        found.values[property] = value
        if made is None:  # the machine's own stands in the recorded tree
            ctx.machine.objects.main_values[property] = value
        return {}
    if made is not None and property in found.writable:
        check_range(made, property, value)
    elif not found.is_device and property not in found.children and property not in FIXED:
        found.get(property, path)
        if found.type_name == REGION or property.startswith(ON_BUS):
            raise QmpError(f"Property '{found.type_name}.{property}' is not writable")
        raise not_emulated("qom-set")
    elif found.properties.get(property, "").startswith("link<") and property not in FIXED:
        if not isinstance(value, str):
            raise QmpError(f"Invalid parameter type for '{property}', expected: string")
        wanted = found.properties[property][5:-1]
        if value and _find(ctx, value)[1].type_name != wanted:
            raise QmpError(f"Invalid parameter type for '{property}', expected: {wanted}")
    elif property == "bootindex" and property in found.properties:
        _set_boot_index(ctx, full_path, value)
        return {}
    above, _, name = full_path.rpartition("/")
    found.set(property, value, name if above == PERIPHERAL else None)
    return {}


def _set_boot_index(ctx: Context, path: str, value: object) -> None:
    """Set the number by which a device, or a part of it, comes among those that are booted from."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise QmpError("Invalid parameter type for 'bootindex', expected: integer")
    if not -(1 << 31) <= value < 1 << 31:
        raise QmpError("Parameter 'bootindex' expects int32_t")
    devices = ctx.machine.devices.all
    whole = next((each for each in devices if f"{path}/".startswith(f"{each.path}/")), None)
    check_boot_index(value, devices)
    if whole is not None:
        whole.values["bootindex"] = value
        ctx.machine.qom.find(whole.path)[1].set_boot_index(value)


@command("object-add")
def object_add(ctx: Context, *, qom_type: str, id: str, **properties: object) -> object:
    """Create a user object."""
    if not is_identifier(id):
        raise QmpError("Parameter 'id' expects an identifier")
    named = {name.replace("_", "-"): value for name, value in properties.items()}
    if ctx.profile.added("object", qom_type) is None:
        raise not_emulated(f"object-add {qom_type}")
    ctx.machine.plugging.add_object({"qom-type": qom_type, "id": id, **named})
    made = ctx.machine.objects.all[id]
    ctx.machine.store.tell_of_object(qom_type, "object-add", made.given)
    ctx.machine.graft(f"/objects/{id}", lambda: ctx.machine.plugging.in_tree.object_shown(made))
    return {}


@command("object-del")
def object_del(ctx: Context, *, id: str) -> object:
    """Delete a user object that nothing uses."""
    ctx.machine.look_for_objects()
    found = ctx.machine.objects.all.get(id)
    ctx.machine.plugging.remove_object(id)
    if found is not None:
        ctx.machine.store.tell_of_object(found.kind, "object-del", {"id": id})
    ctx.machine.prune(f"/objects/{id}")
    return {}
