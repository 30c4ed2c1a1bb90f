"""Drives of the old kind, of -drive and drive_add: a name, a place on the board, and a node that goes with the drive.

options ──made──> OldDrive (name, place, what to open) ──add──> Drive, on which a device may be put ──attach──> in use

Texts and names as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.options import OptionError, size, switch
from qmpemu.core.table import Refused
from qmpemu.machine.block.nodes import FLASH, Drive, is_simple, policy, through
from qmpemu.machine.block.slices import PARTS as SLICE
from qmpemu.machine.block.slices import written
from qmpemu.machine.config import OldDrive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.layer import BlockLayer
    from qmpemu.machine.block.nodes import Node

INTERFACES = ("none", "ide", "scsi", "floppy", "pflash", "mtd", "sd", "virtio", "xen")
OWN = frozenset(
    """
    if index bus unit media id file format cache cache.direct cache.no-flush cache.writeback aio discard detect-zeroes
    copy-on-read readonly read-only auto-read-only snapshot werror rerror throttling.group stats-account-invalid
    stats-account-failed force-share node-name driver
    """.split()
)
CACHE_PARTS = ("cache.direct", "cache.no-flush", "cache.writeback")
SWITCHES = ("snapshot", "read-only", "copy-on-read", *CACHE_PARTS)
CACHES = {
    "off": (True, False, True),
    "none": (True, False, True),
    "directsync": (True, False, False),
    "writeback": (False, False, True),
    "unsafe": (False, True, True),
    "writethrough": (False, False, False),
}
"""cache= -> whether the host's cache is passed by, whether flushes are ignored, and whether writes wait for one."""
CHOICES = {
    "aio": ("threads", "native", "io_uring"),
    "discard": ("ignore", "off", "unmap", "on"),
    "detect-zeroes": ("off", "on", "unmap"),
}
WRONG = {"aio": "invalid aio option", "discard": "Invalid discard option"}
NEEDS_DIRECT = "aio=native was specified, but it requires cache.direct=on, which was not specified."
WRITE_POLICIES = ("ignore", "stop", "report", "enospc")
READ_POLICIES = ("ignore", "stop", "report")
WITH_POLICIES = {"none", "ide", "virtio", "scsi"}
FORMATS = frozenset(
    """
    blkdebug blklogwrites blkverify bochs cloop compress copy-before-write copy-on-read dmg file ftp ftps gluster
    host_cdrom host_device http https iscsi luks nbd null-aio null-co nvme parallels preallocate qcow qcow2 qed quorum
    raw rbd replication snapshot-access ssh throttle vdi vhdx vmdk vpc vvfat
    """.split()
)
NULL_NUMBERS = ("size", "latency-ns")
SHORT_WAYS = {"total": "", "read": "_rd", "write": "_wr"}


def made(options: Mapping[str, str], family: str, drives: Sequence[OldDrive]) -> OldDrive:
    """What the options ask for, beside the drives that are there. Raises Refused, OptionError."""
    name = options.get("id", "")
    if "readonly" in options:
        options = {**options, "read-only": options["readonly"]}
    for each in SWITCHES:
        switch(each, options.get(each, "on"))
    media = options.get("media", "disk")
    if media not in ("disk", "cdrom"):
        raise Refused(f"'{media}' invalid media")
    kind = options.get("if", "none" if family == "none" else "ide")
    if kind not in INTERFACES:
        raise Refused(f"unsupported bus type '{kind}'")
    drive = OldDrive(name, kind, *_place(family, kind, options, drives))
    drive.cdrom = media == "cdrom"
    drive.read_only = drive.cdrom or switch("read-only", options.get("read-only", "off"))
    drive.id = name or named(family, drive)
    drive.policies = _policies(kind, options)
    drive.throttle, drive.group = _limits(options), options.get("throttling.group", "")
    direct, no_flush, write_back = _cache(options)
    drive.write_through = not write_back
    drive.temporary = switch("snapshot", options.get("snapshot", "off"))
    drive.node = _node(options, direct=direct, no_flush=no_flush, read_only=drive.read_only)
    return drive


def units(family: str, interface: str) -> int:
    """How many units a bus has; 0 where there are no buses."""
    if interface == "ide":
        return 1 if family == "q35" else 2
    return 7 if interface == "scsi" else 0


def named(family: str, drive: OldDrive) -> str:
    """The name of a drive that was given none."""
    if units(family, drive.interface):
        return f"{drive.interface}{drive.bus}-{'cd' if drive.cdrom else 'hd'}{drive.unit}"
    return f"{drive.interface}{'-cd' if drive.cdrom and drive.interface != 'none' else ''}{drive.unit}"


def is_taken(drives: Sequence[OldDrive], interface: str, bus: int, unit: int) -> bool:
    """Whether a drive is there already."""
    return any((each.interface, each.bus, each.unit) == (interface, bus, unit) for each in drives)


def _place(family: str, kind: str, options: Mapping[str, str], drives: Sequence[OldDrive]) -> tuple[int, int]:
    most = units(family, kind)
    bus, unit = _number(options, "bus", 0), _number(options, "unit", -1)
    index = _number(options, "index", -1)
    if index >= 0:
        if bus or unit >= 0:
            raise Refused("index cannot be used with bus and unit")
        bus, unit = divmod(index, most) if most else (0, index)
    elif unit < 0:
        unit = 0
        while is_taken(drives, kind, bus, unit):
            unit += 1
            if most and unit >= most:
                bus, unit = bus + 1, 0
    if most and unit >= most:
        raise Refused(f"unit {unit} too big (max is {most - 1})")
    if is_taken(drives, kind, bus, unit):
        raise Refused(f"drive with bus={bus}, unit={unit} (index={index}) exists")
    return bus, unit


def _policies(kind: str, options: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, what, known in (("werror", "write", WRITE_POLICIES), ("rerror", "read", READ_POLICIES)):
        if name not in options:
            continue
        if kind not in WITH_POLICIES:
            raise Refused(f"{name} is not supported by this bus type")
        if options[name] not in known:
            raise Refused(f"'{options[name]}' invalid {what} error action")
        found[name] = options[name]
    return found


def _limits(options: Mapping[str, str]) -> dict[str, int]:
    """Of the options, by the names of block_set_io_throttle. Raises Refused."""
    from qmpemu.machine.devices.limits import check, of_drive

    found: dict[str, int] = {}
    for name, value in options.items():
        short = name
        if name.startswith("throttling.") and name != "throttling.group":
            what, way, *rest = name.removeprefix("throttling.").split("-")
            short = "_".join([f"{what}{SHORT_WAYS.get(way, f'_{way}')}", *rest])
        elif not name.startswith(("bps", "iops")):
            continue
        if number := _number({name: value}, name, 0):
            found[short] = number
    check(of_drive(found))
    return found


def _cache(options: Mapping[str, str]) -> list[bool]:
    """Direct, no-flush, writeback. Raises Refused."""
    cache = options.get("cache", "writeback")
    if cache not in CACHES:
        raise Refused("invalid cache option")
    given = zip(CACHE_PARTS, CACHES[cache], strict=True)
    return [switch(name, options.get(name, "on" if default else "off")) for name, default in given]


def _node(
    options: Mapping[str, str], *, direct: bool, no_flush: bool, read_only: bool
) -> dict[str, object] | None:
    """The block node as -blockdev would have it, without its driver where that is to be guessed; None: empty."""
    path = options.get("file", options.get("file.filename", ""))
    form = options.get("format", options.get("driver", ""))
    if form and form not in FORMATS:
        raise Refused(f"Unknown driver '{form}'")
    if not path and form == "null-co":
        return _null(options)
    if not path:
        return None
    for name, known in CHOICES.items():
        if options.get(name, known[0]) not in known:
            raise Refused(WRONG.get(name, f"invalid parameter value: {options[name]}"))
    if options.get("aio") == "native" and not direct:
        raise Refused(NEEDS_DIRECT)
    found: dict[str, object] = {"driver": form} if form else {}
    found["file"] = path
    if direct or no_flush:
        found["cache"] = {"direct": direct, "no-flush": no_flush}
    if read_only:
        found["read-only"] = True
    for name in ("discard", "detect-zeroes", "node-name"):
        if name in options:
            found[name] = options[name]
    cut = SLICE if form in ("", "raw") else ()
    found |= {name: written(size(name, options[name], "B"), options[name]) for name in cut if name in options}
    wrong = [
        key
        for key in options
        if key not in (*OWN, *cut) and not key.startswith(("bps", "iops", "throttling.", "file."))
    ]
    if wrong:
        found["wrong"] = wrong[0]
    return found


def _null(options: Mapping[str, str]) -> dict[str, object]:
    """A null device, which has no file."""
    found: dict[str, object] = {"driver": "null-co"}
    found |= {name: options[name] for name in ("read-only", "node-name") if name in options}
    for name in NULL_NUMBERS:
        if name in options:
            found[name] = written(size(name, options[name], "B"), options[name])
    if "read-zeroes" in options:
        found["read-zeroes"] = switch("read-zeroes", options["read-zeroes"])
    wrong = [name for name in options if name not in (*OWN, *NULL_NUMBERS, "read-zeroes")]
    return {**found, "wrong": wrong[0]} if wrong else found


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    given = options.get(name)
    if given is None:
        return default
    if not given.isdigit():
        raise OptionError(f"Parameter '{name}' expects a number")
    return int(given)


# --- in the block layer ---------------------------------------------------------------------------------------------


def present(blocks: Blocks) -> list[OldDrive]:
    """Those of a machine."""
    return [each.old for each in blocks.drives if each.old is not None]


def add(layer: BlockLayer, given: OldDrive) -> Drive:
    """Open a drive's file and keep the drive, which a device may name. Raises Refused, QmpError."""
    node = None if given.node is None else _opened(layer, given.id, given.node, temporary=given.temporary)
    if given.id in layer.blocks.nodes:
        layer.store.drop_unused()
        raise Refused(f"Device name '{given.id}' conflicts with an existing node name")
    drive = Drive("", node, removable=given.interface != "pflash", has_tray=False)
    drive.old, drive.name, drive.attached = given, given.id, False
    drive.read_error = policy(given.policies.get("rerror"), drive.read_error)
    drive.write_error = policy(given.policies.get("werror"), drive.write_error)
    drive.write_through = given.write_through
    drive.throttle = dict(given.throttle)
    if drive.throttle:
        drive.group = given.group or given.id
    if given.interface == "pflash":
        drive.attached = True
        drive.qdev = f"{FLASH}{given.unit}"
    layer.blocks.drives.append(drive)
    return drive


def _opened(layer: BlockLayer, drive: str, asked: dict[str, object], *, temporary: bool) -> Node:
    from qmpemu.machine.block.names import check_name
    from qmpemu.machine.block.opened import GUESSED, HERE, guessed, open_named, protocol

    blocks, host = layer.blocks, layer.host
    given = asked
    if temporary:
        from qmpemu.machine.block.temporary import below, put_over

        given = below(asked)
    options = dict(given)
    wrong, name = options.pop("wrong", None), options.pop("node-name", None)
    if name is not None:
        check_name(blocks, name)
    options["node-name"] = name or blocks.anonymous()
    driver, here = options.get("driver"), True
    json = driver is None and str(options.get("file")).startswith("json:")
    if json:
        options |= protocol(str(options["file"]))  # which says what the node is
        if "file" in given and options["file"] == given["file"]:
            del options["file"]
        driver, here = options["driver"], is_simple(options)
    elif "file" in options:
        file = protocol(str(options["file"]))
        driver, here = driver or guessed(layer, file), file["driver"] in HERE
        if "cache" in options:
            file["cache"] = options["cache"]
        options |= {"driver": driver, "file": {**file, "node-name": blocks.anonymous()}}
    cut = [each for each in SLICE if each in given]
    if driver not in ("raw", "null-co") and cut:
        wrong = wrong or cut[0]
        options = {key: value for key, value in options.items() if key not in cut}
    node = open_named(layer, options, here=here and driver in ("raw", "qcow2", "null-co"))
    blocks.loose.add(node.name)
    if wrong is not None:
        layer.store.drop_unused()
        raise Refused(f"Block format '{driver}' does not support the option '{wrong}'")
    if "driver" not in given and driver == "raw" and not json and not node.read_only:
        host.complain(GUESSED.format(path=node.path))
    return put_over(layer, node, asked) if temporary else node


def attach(blocks: Blocks, drive: Drive, device: dict[str, object], qdev: str, *, removable: bool) -> None:
    """Put a device on a drive. Raises Refused."""
    if drive.attached:
        raise Refused(f"Drive '{drive.name}' is already in use {_by(drive.old)}")
    if drive.node is None and not removable:
        raise Refused("Device needs media, but drive is empty")
    if device["driver"] == "ide-hd" and drive.node is not None and drive.node.read_only:
        raise Refused("Block node is read-only")
    drive.qdev, drive.id, drive.attached = qdev, str(device.get("id", "")), True
    drive.removable, drive.driver = removable, str(device["driver"])
    drive.has_tray, drive.shares = drive.driver != "floppy", device.get("share-rw") in (True, "on")
    drive.write_through = through(device.get("write-cache"), default=drive.write_through)
    drive.read_error = policy(device.get("rerror"), drive.read_error)
    drive.write_error = policy(device.get("werror"), drive.write_error)
    blocks.locks.refresh()


def _by(old: OldDrive | None) -> str:
    if old is None or old.interface == "none":
        return "by another device"
    hint = "did you need 'if=none' in the drive options?"
    return f"because it has been automatically connected to another device ({hint})"


def forget(blocks: Blocks, drive: Drive) -> None:
    """drive_del: its medium and its name go; a device that is on it stays, without any."""
    blocks.insert(drive, None)
    drive.old, drive.name = None, ""
    if not drive.attached:
        blocks.drives.remove(drive)
    elif not drive.removable:
        drive.has_tray = False  # its failures are no longer told
