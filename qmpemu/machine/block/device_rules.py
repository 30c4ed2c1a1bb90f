"""What a device says of its drive: how it is named, who may share it, and which want a device of the host's."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.nodes import DISK_DRIVERS, REMOVABLE, Drive, policy, through

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Node
    from qmpemu.machine.host import Host

HOST_SCSI = ("scsi-block", "scsi-generic")
"""Devices that hand a guest's SCSI commands to a device of the host's."""
DEVICES = ("host_device", "host_cdrom")
NO_IOCTL = "Operation not supported"


def refuse_host_scsi(host: Host, node: Node) -> None:
    """A guest cannot be given one of the host's; anything else is refused as by the real one. Raises Refused."""
    node = node.bottom
    reason = host.why_no_scsi(node.path) if node.driver in DEVICES else NO_IOCTL
    if reason is None:
        raise Refused(f"qmpemu does not emulate the host's {node.path}")
    raise Refused(f"cannot get SG_IO version number: {reason}", "Is this a SCSI device?")


CONFLICT = (
    "Permission conflict on node '{node}': permissions 'write' are both required by block device '{writer}' (uses node "
    "'{node}' as 'root' child) and unshared by block device '{other}' (uses node '{node}' as 'root' child)."
)


def writes(node: Node, driver: str) -> bool:
    """Whether a device of that driver writes to a node."""
    return not node.read_only and not driver.endswith("-cd")


def refuse_second(blocks: Blocks, device: dict[str, object], node: Node, qdev: str) -> None:
    """Whether a device can be on a node beside those that are, the newest of which is told of. Raises Refused."""
    used = [each for each in reversed(blocks.drives) if each.node is node]
    for each in used:
        if device.get("share-rw") not in (True, "on") and writes(node, each.driver):
            raise Refused(CONFLICT.format(node=node.name, writer=each.qdev, other=qdev))
    for each in used:
        if writes(node, str(device["driver"])) and not each.shares:
            raise Refused(CONFLICT.format(node=node.name, writer=qdev, other=each.qdev))


def drive_owner(driver: str) -> str:
    """The class that has the property `drive`."""
    return "virtio-blk-device" if driver.startswith("virtio-blk") else driver


def qdev_name(driver: str, identity: str, path: str) -> str:
    """How query-block names the device: the one behind the bus where there are two."""
    if driver.startswith("virtio-blk"):
        return f"{path}/virtio-backend"
    if driver == "usb-storage":
        return f"{path}/{identity or 'scsi'}.0/legacy[0]"
    return identity or path


def new_drive(blocks: Blocks, host: Host, device: dict[str, object], path: str) -> Drive | None:
    """The drive of a new device at `path` of the object tree; None where it has none, or has one of the old kind.

    Raises Refused.
    """
    driver, identity = str(device["driver"]), str(device.get("id", ""))
    removable = DISK_DRIVERS.get(driver)
    given = device.get("drive")
    if removable is None or (given is None and driver == "nvme"):  # its disks may be devices of their own
        return None
    if given is None and not removable:
        raise Refused("drive property not set")
    removable = removable or (driver in REMOVABLE and device.get("removable") in (True, "on"))
    named = blocks.named(given)
    if named is not None:
        from qmpemu.machine.block.old_drives import attach

        attach(blocks, named, device, qdev_name(driver, identity, path), removable=removable)
        return None
    node = blocks.found(str(given)) if given is not None else None
    if driver == "ide-hd" and node is not None and node.read_only:
        raise Refused("Block node is read-only")
    if driver in HOST_SCSI and node is not None:
        refuse_host_scsi(host, node)
    qdev, holders = qdev_name(driver, identity, path), blocks.holders
    filtered = holders is not None and node is not None and holders.works_on(node)
    if node is not None and not filtered:  # else the job's filter stands between them
        refuse_second(blocks, device, node, qdev)
    drive = Drive(qdev, node, removable=removable, id=identity, has_tray=driver != "floppy")
    drive.read_error = policy(device.get("rerror"), drive.read_error)
    drive.write_error = policy(device.get("werror"), drive.write_error)
    drive.write_through = through(device.get("write-cache"), default=False)
    drive.driver, drive.shares = driver, device.get("share-rw") in (True, "on")
    if node is not None and holders is not None:
        blocks.locks.check_with(drive)  # which alone knows what drives leave to nobody else
        holders.check(drive)
    return drive
