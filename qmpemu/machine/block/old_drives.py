"""Drives of the old kind, of -drive and drive_add: a name, a place on the board, and a node that goes with the drive.

options ──made──> OldDrive (name, place, what to open) ──add──> Drive, on which a device may be put ──attach──> in use

Texts and names as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.options import OptionError, switch
from qmpemu.core.table import Refused
from qmpemu.machine.block.nodes import Drive, is_identifier, policy
from qmpemu.machine.config import OldDrive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.machine import Machine

INTERFACES = ("none", "ide", "scsi", "floppy", "pflash", "mtd", "sd", "virtio", "xen")
OWN = frozenset(
    """
    if index bus unit media id file format cache cache.direct cache.no-flush cache.writeback aio discard detect-zeroes
    copy-on-read readonly read-only auto-read-only snapshot werror rerror throttling.group stats-account-invalid
    stats-account-failed force-share node-name driver
    """.split()
)
SWITCHES = ("snapshot", "read-only", "copy-on-read", "cache.direct", "cache.no-flush", "cache.writeback")
CACHES = {
    "off": (True, False),
    "none": (True, False),
    "directsync": (True, False),
    "writeback": (False, False),
    "unsafe": (False, True),
    "writethrough": (False, False),
}
"""cache= -> whether the host's cache is passed by, and whether flushes are ignored."""
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
SHORT_WAYS = {"total": "", "read": "_rd", "write": "_wr"}


def made(options: Mapping[str, str], family: str, drives: Sequence[OldDrive]) -> OldDrive:
    """What the options ask for, beside the drives that are there. Raises Refused, OptionError."""
    name = options.get("id", "")
    if name and not is_identifier(name):
        raise OptionError(
            "Parameter 'id' expects an identifier\n"
            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
        )
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
    drive.read_only = drive.cdrom or any(
        switch(each, options.get(each, "off")) for each in ("readonly", "read-only")
    )
    drive.id = name or named(family, drive)
    drive.policies = _policies(kind, options)
    drive.throttle, drive.group = _limits(options), options.get("throttling.group", "")
    drive.node = _node(options, read_only=drive.read_only)
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


def _node(options: Mapping[str, str], *, read_only: bool) -> dict[str, object] | None:
    """The block node as -blockdev would have it, without its driver where that is to be guessed; None: empty."""
    path = options.get("file", options.get("file.filename", ""))
    form = options.get("format", options.get("driver", ""))
    cache = options.get("cache", "writeback")
    if cache not in CACHES:
        raise Refused("invalid cache option")
    if form and form not in FORMATS:
        raise Refused(f"Unknown driver '{form}'")
    if not path:
        return None
    direct, no_flush = CACHES[cache]
    direct = switch("cache.direct", options.get("cache.direct", "on" if direct else "off"))
    no_flush = switch("cache.no-flush", options.get("cache.no-flush", "on" if no_flush else "off"))
    found: dict[str, object] = {"driver": form} if form else {}
    found["file"] = path
    if direct or no_flush:
        found["cache"] = {"direct": direct, "no-flush": no_flush}
    if read_only:
        found["read-only"] = True
    for name in ("discard", "detect-zeroes", "node-name"):
        if name in options:
            found[name] = options[name]
    wrong = [
        key
        for key in options
        if key not in OWN and not key.startswith(("bps", "iops", "throttling.", "file."))
    ]
    if wrong:
        found["wrong"] = wrong[0]
    return found


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    given = options.get(name)
    if given is None:
        return default
    if not given.isdigit():
        raise OptionError(f"Parameter '{name}' expects a number")
    return int(given)


# --- on the machine ---------------------------------------------------------------------------------------------


def present(blocks: Blocks) -> list[OldDrive]:
    """Those of a machine."""
    return [each.old for each in blocks.drives if each.old is not None]


def add(machine: Machine, given: OldDrive) -> Drive:
    """Open a drive's file and keep the drive, which a device may name. Raises Refused, QmpError."""
    node = None if given.node is None else _opened(machine, given.node)
    drive = Drive("", node, removable=given.interface != "pflash", has_tray=False)
    drive.old, drive.name, drive.attached = given, given.id, False
    drive.read_error = policy(given.policies.get("rerror"), drive.read_error)
    drive.write_error = policy(given.policies.get("werror"), drive.write_error)
    drive.throttle = dict(given.throttle)
    if drive.throttle:
        drive.group = given.group or given.id
    if given.interface == "pflash":
        drive.attached = True
        drive.qdev = f"/machine/system.flash{given.unit}"
    machine.blocks.drives.append(drive)
    return drive


def _opened(machine: Machine, given: dict[str, object]) -> Node:
    from qmpemu.machine.block.opened import GUESSED, protocol

    blocks, host = machine.blocks, machine.host
    options = dict(given)
    wrong, name = options.pop("wrong", None), options.pop("node-name", None)
    if name is not None:
        blocks.check_name(name)
    file = protocol(str(options["file"]))
    driver = options.get("driver") or host.probe(str(file.get("filename")))
    if "cache" in options:
        file["cache"] = options["cache"]
    options |= {
        "driver": driver,
        "node-name": name or blocks.anonymous(),
        "file": {**file, "node-name": blocks.anonymous()},
    }
    node = machine.store.open(options, here=driver in ("raw", "qcow2"))
    blocks.loose.add(node.name)
    if wrong is not None:
        machine.store.drop_unused()
        raise Refused(f"Block format '{driver}' does not support the option '{wrong}'")
    if "driver" not in given and driver == "raw" and not node.read_only:
        host.complain(GUESSED.format(path=node.path))
    return node


def attach(blocks: Blocks, drive: Drive, device: dict[str, object], qdev: str, *, removable: bool) -> None:
    """Put a device on a drive. Raises Refused."""
    if drive.attached:
        raise Refused(f"Drive '{drive.name}' is already in use by another device")
    if drive.node is None and not removable:
        raise Refused("Device needs media, but drive is empty")
    if device["driver"] == "ide-hd" and drive.node is not None and drive.node.read_only:
        raise Refused("Block node is read-only")
    drive.qdev, drive.id, drive.attached = qdev, str(device.get("id", "")), True
    drive.removable, drive.driver = removable, str(device["driver"])
    drive.has_tray, drive.shares = drive.driver != "floppy", device.get("share-rw") in (True, "on")
    drive.read_error = policy(device.get("rerror"), drive.read_error)
    drive.write_error = policy(device.get("werror"), drive.write_error)
    blocks.locks.refresh()


def forget(blocks: Blocks, drive: Drive) -> None:
    """drive_del: its medium and its name go; a device that is on it stays, without any."""
    blocks.insert(drive, None)
    drive.old, drive.name = None, ""
    if not drive.attached:
        blocks.drives.remove(drive)
    elif not drive.removable:
        drive.has_tray = False  # its failures are no longer told
