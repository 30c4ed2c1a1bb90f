"""What a device says of its drive: how it is named, who may share it, and which want a device of the host's."""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Drive, Node
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


def is_shared(device: dict[str, object], other: Drive) -> bool:
    """Whether both only read, or say that they share writing."""
    return device.get("share-rw") in (True, "on") or (other.node is not None and other.node.read_only)


CONFLICT = (
    "Permission conflict on node '{node}': permissions 'write' are both required by block device '{writer}' (uses node "
    "'{node}' as 'root' child) and unshared by block device '{other}' (uses node '{node}' as 'root' child)."
)


def writes(node: Node, driver: str) -> bool:
    """Whether a device of that driver writes to a node."""
    return not node.read_only and not driver.endswith("-cd")


def refuse_second(blocks: Blocks, device: dict[str, object], node: Node, qdev: str) -> None:
    """Whether a device can be on a node beside those that are. Raises Refused."""
    used = next((each for each in blocks.drives if each.node is node), None)
    if used is not None and not is_shared(device, used):
        raise Refused(CONFLICT.format(node=node.name, writer=used.qdev, other=qdev))
    if used is not None and writes(node, str(device["driver"])) and not used.shares:
        raise Refused(CONFLICT.format(node=node.name, writer=qdev, other=used.qdev))


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
