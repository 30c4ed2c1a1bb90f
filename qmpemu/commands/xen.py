"""QAPI module `migration`: the commands that Xen's tools send. They are refused where QEMU refuses them without Xen."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.qmp.errors import QmpError, not_emulated


@command("xen-save-devices-state")
def xen_save_devices_state(ctx: Context, *, filename: str, live: bool = True) -> object:
    """A device's state has no form that another QEMU would read."""
    folder = filename.rpartition("/")[0]
    _readable(ctx, folder or "/" if "/" in filename else ".", filename)
    raise not_emulated("xen-save-devices-state")


@command("xen-load-devices-state")
def xen_load_devices_state(ctx: Context, *, filename: str) -> object:
    """As above."""
    _readable(ctx, filename, filename)
    raise not_emulated("xen-load-devices-state")


@command("xen-set-replication")
def xen_set_replication(ctx: Context, *, enable: bool, primary: bool, failover: bool | None = None) -> object:
    """No disk is replicated."""
    if enable and failover is not None:
        raise QmpError("Parameter 'failover' is only for stopping replication")
    raise not_emulated("xen-set-replication")


def _readable(ctx: Context, path: str, named: str) -> None:
    reason = ctx.machine.host.why_unreadable(path)
    if reason not in (None, "Is a directory"):
        raise QmpError(f"Unable to open {named}: {reason}")
