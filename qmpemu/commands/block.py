"""QAPI module `block`: what belongs to drives and not to nodes - trays, media, limits."""

from __future__ import annotations

from itertools import pairwise

from qmpemu.commands.qdev import refuse_device
from qmpemu.commands.registry import Context, command, event
from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.machine.block.nodes import DISK_DRIVERS, Drive
from qmpemu.machine.devices.limits import check, of_drive
from qmpemu.qmp.errors import QmpError, device_not_found

LIMITS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")


class TrayMoved(Fact):
    """A tray was opened or closed. drive: the name of a drive of the old kind, else empty."""

    id: str
    open: bool
    drive: str


@event(TrayMoved, "DEVICE_TRAY_MOVED")
def tray_moved(fact: TrayMoved) -> dict[str, object]:
    """Its data."""
    return {"device": fact.drive, "tray-open": fact.open, "id": fact.id}


def _drive(ctx: Context, device: str | None, id: str | None) -> Drive:
    """The drive that a command names. Raises QmpError, Refused."""
    if (device is None) == (id is None):
        raise QmpError("Need exactly one of 'device' and 'id'")
    if device is not None:
        named = ctx.machine.blocks.named(device)
        if named is None:
            raise device_not_found(device)
        return named
    if id is not None and ctx.machine.devices.at(id) is None:
        blocks = ctx.machine.blocks
        if all(id != drive.qdev for drive in blocks.drives):
            refuse_device(ctx, id)
    if (
        id is not None
        and (found := ctx.machine.devices.at(id)) is not None
        and found.kind not in DISK_DRIVERS
    ):
        raise QmpError("Device does not have a block device backend")
    return ctx.machine.blocks.drive(str(id))


def _removable(ctx: Context, device: str | None, id: str | None) -> Drive:
    drive = _drive(ctx, device, id)
    if not drive.removable:
        raise QmpError(f"Device '{id if device is None else device}' is not removable")
    return drive


def _move_tray(ctx: Context, drive: Drive, *, opened: bool) -> None:
    if drive.has_tray and drive.tray_open is not opened:
        drive.tray_open = opened
        ctx.machine.facts.publish(TrayMoved(id=drive.qdev, open=opened, drive=drive.name))


@command("blockdev-open-tray")
def blockdev_open_tray(
    ctx: Context, *, device: str | None = None, id: str | None = None, force: bool = False
) -> object:
    """Open a tray; the guest never locks it here."""
    _move_tray(ctx, _removable(ctx, device, id), opened=True)
    return {}


@command("blockdev-close-tray")
def blockdev_close_tray(ctx: Context, *, device: str | None = None, id: str | None = None) -> object:
    """Close a tray."""
    _move_tray(ctx, _removable(ctx, device, id), opened=False)
    return {}


def _take_out(ctx: Context, drive: Drive) -> None:
    """Let go of the medium. Raises Refused where a job uses it."""
    if ctx.machine.store_up:
        ctx.machine.store.working.check_leaving(drive.node)
    ctx.machine.blocks.insert(drive, None)


@command("blockdev-remove-medium")
def blockdev_remove_medium(ctx: Context, *, id: str) -> object:
    """Take the medium out of an open tray."""
    drive = _removable(ctx, None, id)
    if drive.has_tray and not drive.tray_open:
        raise QmpError(f"Tray of device '{id}' is not open")
    _take_out(ctx, drive)
    return {}


@command("blockdev-insert-medium")
def blockdev_insert_medium(ctx: Context, *, id: str, node_name: str) -> object:
    """Put a node into an open tray."""
    drive, blocks = _drive(ctx, None, id), ctx.machine.blocks
    node = blocks.nodes.get(node_name)
    if node is None:
        raise QmpError(f"Node '{node_name}' not found")
    filtered = ctx.machine.store_up and ctx.machine.store.working.kind(node) is not None
    if not filtered and any(each.node is node for each in blocks.drives):
        raise QmpError(f"Node '{node_name}' is already in use")
    _removable(ctx, None, id)
    if drive.has_tray and not drive.tray_open:
        raise QmpError("Tray of the device is not open")
    if drive.node is not None:
        raise QmpError("There already is a medium in the device")
    blocks.insert(drive, node)
    return {}


@command("query-pr-managers")
def query_pr_managers(ctx: Context) -> list[object]:
    """-> helpers for persistent reservations: there are none."""
    ctx.machine.look_for_objects()
    return []


@command("eject")
def eject(ctx: Context, *, device: str | None = None, id: str | None = None, force: bool = False) -> object:
    """Open the tray and take the medium out."""
    drive = _removable(ctx, device, id)
    _move_tray(ctx, drive, opened=True)
    _take_out(ctx, drive)
    return {}


@command("blockdev-change-medium")
def blockdev_change_medium(
    ctx: Context,
    *,
    filename: str,
    device: str | None = None,
    id: str | None = None,
    format: str | None = None,
    force: bool = False,
    read_only_mode: str = "retain",
) -> object:
    """Put a file into the drive in place of what is there; its node goes with it."""
    from qmpemu.machine.block.opened import medium

    drive = _drive(ctx, device, id)
    if format is not None and format not in _formats(ctx):
        raise QmpError(f"Unknown driver '{format}'")
    retained = drive.old is None or drive.old.read_only
    if drive.node is not None:
        retained = drive.node.read_only
    node = medium(
        ctx.machine.block_layer,
        filename,
        format,
        read_only=retained if read_only_mode == "retain" else read_only_mode == "read-only",
    )
    _removable(ctx, device, id)
    _move_tray(ctx, drive, opened=True)
    try:
        _take_out(ctx, drive)
    except Refused:
        ctx.machine.store.drop_unused()
        raise
    ctx.machine.blocks.insert(drive, node)
    _move_tray(ctx, drive, opened=False)
    return {}


def _formats(ctx: Context) -> list[str]:
    """Every block driver's name."""
    schema = ctx.profile.schema
    driver = next(each for each in schema.members("blockdev-add") if each["name"] == "driver")
    names: list[str] = schema.info(driver["type"])["values"]
    return names


@command("block-latency-histogram-set")
def block_latency_histogram_set(
    ctx: Context,
    *,
    id: str,
    boundaries: list[int] | None = None,
    boundaries_read: list[int] | None = None,
    boundaries_write: list[int] | None = None,
    boundaries_flush: list[int] | None = None,
) -> object:
    """Count a drive's latencies between boundaries, in ns; without any, no more."""
    drive = _drive(ctx, None, id)
    given = {"read": boundaries_read, "write": boundaries_write, "flush": boundaries_flush}
    if boundaries is None and not any(each is not None for each in given.values()):
        drive.histograms = {}
    for kind, own in given.items():
        wanted = boundaries if own is None else own
        if wanted is None:
            continue
        if any(one >= other for one, other in pairwise([0, *wanted])):
            raise QmpError(f"Device '{id}' set {kind} boundaries fail")
        drive.histograms[kind] = wanted
    return {}


@command("block_set_io_throttle")
def block_set_io_throttle(
    ctx: Context, *, device: str | None = None, id: str | None = None, group: str | None = None, **limits: int
) -> object:
    """Limit a drive's bytes and operations per second; all 0 takes the limits away."""
    drive = _drive(ctx, device, id)
    if drive.node is None:
        raise QmpError("Device has no medium")
    check(of_drive(limits))
    limited = any(limits[name] for name in LIMITS)
    joined = (group or drive.group or device or id) if limited else None
    leaves = drive.group is not None and drive.group != joined
    if leaves and ctx.machine.store_up:  # it waits for what is on its way
        ctx.machine.store.working.pause(drive.node, times=1)
    if limited:
        drive.group = joined
        for each in ctx.machine.blocks.drives:  # a group has its limits together
            if each.group == drive.group:
                each.throttle = {name: value for name, value in limits.items() if value}
    else:
        drive.throttle, drive.group = {}, None
    return {}
