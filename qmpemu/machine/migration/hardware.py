"""The inventory of devices that a guest has read, as text: for a boot that is lived again on a machine that changed."""

from __future__ import annotations

from qmpemu.hardware import DiskDrive, Hardware, Nic, PciAddress

KINDS = {kind.__name__: kind for kind in (Hardware, DiskDrive, Nic, PciAddress)}
"""What an inventory is made of; nothing else is made from a stream."""


def data_of(hardware: Hardware) -> str:
    """As JSON."""
    from json import dumps

    return dumps(_data(hardware), separators=(",", ":"))


def hardware_of(text: str) -> Hardware:
    """From `data_of`. Raises ValueError for anything else."""
    from json import loads

    made = _made(loads(text))
    if not isinstance(made, Hardware):
        raise ValueError("no inventory of devices")
    return made


def _data(value: object) -> object:
    if isinstance(value, tuple):
        return [_data(each) for each in value]
    if type(value) in KINDS.values():
        members = {name: _data(getattr(value, name)) for name in type(value).__slots__}  # type: ignore[attr-defined]
        return {"": type(value).__name__, **members}
    return value


def _made(data: object) -> object:
    if isinstance(data, list):
        return tuple(_made(each) for each in data)
    if isinstance(data, dict):
        kind = KINDS.get(str(data.pop("", None)))
        if kind is None or set(data) != set(kind.__slots__):
            raise ValueError("no inventory of devices")
        return kind(**{name: _made(value) for name, value in data.items()})  # type: ignore[arg-type]
    return data
