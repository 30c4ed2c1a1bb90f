"""A device or user-created object as part of the object tree: the recorded one of its type, with its own values."""

from __future__ import annotations

from qmpemu.machine.devices.catalog import RECORDED_ID, VIRTIO_BACKEND
from qmpemu.machine.qom import Object
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.devices.objects import UserObject
    from qmpemu.machine.devices.table import Device

LEGACY_PORTS = "virtio-pci[1]"
"""The I/O ports of virtio's old protocol, where a device has them."""


def device(shown: Device) -> Object:
    """The device with everything below it."""
    if shown.recorded is None:
        return _unrecorded(shown)
    made: dict[str, Object] = {}
    modern_only = _is_modern_only(shown)
    for path, about in shown.recorded.objects.items():
        if _is_left_out(shown, path):
            continue
        if modern_only and path == f"/{LEGACY_PORTS}":
            continue
        made[path] = _recorded(about)
        rows = (name for name, _ in about["rows"] if not (modern_only and name == LEGACY_PORTS))
        made[path].order = [shown.renamed(f"/{name}")[1:] for name in rows]
    for path, each in made.items():
        parent, _, name = path.rpartition("/")
        if path:
            made[parent].children[shown.renamed(f"/{name}")[1:]] = each
    top = made[""]
    own = _own_values(shown)
    top.values.update(own)
    if modern_only:
        top.values["disable-legacy"] = "on"
    behind = made.get(VIRTIO_BACKEND)
    if behind is not None:
        behind.values.update({name: value for name, value in own.items() if name in behind.properties})
        behind.values.update(hotplugged=False)
        behind.values["type"] = behind.type_name
    for bus in shown.buses:
        for each in made.values():
            if each.type_name == bus.kind and "hotplug-handler" in each.properties:
                each.values["hotplug-handler"] = _moved(shown, str(each.values["hotplug-handler"]))
    return top


def _is_left_out(shown: Device, path: str) -> bool:
    """Whether its options take a part of the recorded device away."""
    if path == f"/{RECORDED_ID}.0" and "masterbus" in shown.values:
        return True
    if path == f"{VIRTIO_BACKEND}/default-backend" and "rng" in shown.values:
        return True
    if path.endswith(".rom[0]") and shown.values.get("romfile") == "":
        return True
    if path.startswith("/shpc-") and shown.values.get("shpc") is False:
        return True
    vectors = path.startswith("/msix-") or path.endswith("-msix[0]")
    return vectors and shown.values.get("vectors") == 0


def _is_modern_only(shown: Device) -> bool:
    """Whether a virtio device offers the old protocol no more: behind a PCI Express port, unless told otherwise."""
    bus = shown.bus
    behind_port = bus is not None and bus.kind == "PCIE" and bus.owner is not None
    return (
        behind_port
        and "disable-legacy" in (shown.recorded.kinds() if shown.recorded is not None else ())
        and "disable-legacy" not in shown.values
    )


def user_object(made: UserObject) -> Object:
    """An object of /objects. Its values are the object's own: what is set in the tree is set there."""
    shown = Object(made.kind)
    shown.properties = {n: k for n, k in made.properties.items() if not k.startswith("child<")}
    shown.order = list(made.properties)
    shown.values = made.values
    shown.unreadable = made.errors
    shown.writable = frozenset(shown.properties) - {"type"} if made.kind == "iothread" else frozenset()
    return shown


def _recorded(about: dict[str, Any]) -> Object:
    made = Object(str(about["values"]["type"]))
    made.properties = {name: kind for name, kind in about["rows"] if not kind.startswith("child<")}
    made.values = {name: as_inserted(value) for name, value in about["values"].items()}
    made.unreadable = about["errors"]
    return made


def _own_values(shown: Device) -> dict[str, object]:
    """What differs from the recorded device."""
    values: dict[str, object] = dict(shown.values)
    bus = shown.bus
    values["hotplugged"] = shown.hotplugged
    values["hotpluggable"] = bus is None or bool(bus.hotplug)
    if bus is not None:
        values["parent_bus"] = bus.path
    if bus is not None and bus.is_pci and isinstance(shown.place, int):
        slot, function = divmod(shown.place, 8)
        values.update({"addr": shown.place, "legacy-addr": f"{slot:02x}.{function:x}"})
    kinds = shown.recorded.kinds() if shown.recorded is not None else {}
    for name, kind in kinds.items():
        if kind.startswith("link<") and name in shown.values:
            values[name] = f"/objects/{str(shown.values[name]).removeprefix('/objects/')}"
    return values


def _moved(shown: Device, path: str) -> str:
    """A path within the recorded device as one within this."""
    return path.replace(f"/machine/peripheral/{RECORDED_ID}", shown.path).replace(
        f"{RECORDED_ID}.", f"{shown.id or RECORDED_ID}."
    )


def _unrecorded(shown: Device) -> Object:
    """A device of which nothing was recorded: what was given is all that is known."""
    made = Object(shown.kind)
    made.properties.update(
        {
            "realized": "bool",
            "hotplugged": "bool",
            "hotpluggable": "bool",
            **dict.fromkeys(shown.values, "str"),
        }
    )
    made.values.update(realized=True, hotplugged=shown.hotplugged, hotpluggable=True)
    made.values.update(shown.values)
    return made
