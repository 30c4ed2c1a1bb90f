"""QAPI module `virtio`: which virtio devices there are. What is in their queues is the guest's and is not emulated."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.machine.devices.catalog import VIRTIO_BACKEND
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.devices.table import Device

NAMES = {
    "virtio-keyboard-device": "virtio-input",
    "virtio-mouse-device": "virtio-input",
    "virtio-tablet-device": "virtio-input",
    "virtio-input-host-device": "virtio-input",
    "virtio-serial-device": "virtio-serial",
}
"""Type -> the name that a device has; of the others it is the type's without its end."""


@command("x-query-virtio")
def x_query_virtio(ctx: Context) -> object:
    """-> path and name of each, the newest first."""
    return [
        {"name": _name(device), "path": f"{device.path}{VIRTIO_BACKEND}"}
        for device in reversed(ctx.machine.devices.all)
        if _type(device)
    ]


@command("x-query-virtio-status")
def x_query_virtio_status(ctx: Context, *, path: str) -> object:
    """A device that is there is not described."""
    _check(ctx, path)
    raise not_emulated("x-query-virtio-status")


@command("x-query-virtio-queue-status")
def x_query_virtio_queue_status(ctx: Context, *, path: str, queue: int) -> object:
    """A device that is there is not described."""
    _check(ctx, path)
    raise not_emulated("x-query-virtio-queue-status")


@command("x-query-virtio-queue-element")
def x_query_virtio_queue_element(ctx: Context, *, path: str, queue: int, index: int | None = None) -> object:
    """Before a driver runs there are no queues; what a driver has put there is not kept."""
    _check(ctx, path, "VirtIO device")
    if ctx.machine.clock.now_ns == 0:
        raise QmpError("Region caches not initialized")
    raise not_emulated("x-query-virtio-queue-element")


@command("x-query-virtio-vhost-queue-status")
def x_query_virtio_vhost_queue_status(ctx: Context, *, path: str, queue: int) -> object:
    """No device has a queue in the host's kernel."""
    _check(ctx, path)
    raise QmpError("Error: vhost device has not started yet")


def _check(ctx: Context, path: str, what: str = "VirtIODevice") -> None:
    known = [f"{device.path}{VIRTIO_BACKEND}" for device in ctx.machine.devices.all if _type(device)]
    if path not in known:
        raise QmpError(f"Path {path} is not a {what}")


def _type(device: Device) -> str:
    """The type behind the bus; empty for a device that is no virtio device."""
    behind = None if device.recorded is None else device.recorded.objects.get(VIRTIO_BACKEND)
    return "" if behind is None else str(behind["values"]["type"])


def _name(device: Device) -> str:
    found = _type(device)
    return NAMES.get(found, found.removesuffix("-device"))
