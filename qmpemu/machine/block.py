"""What devices see of disks: block nodes by node-name, and which device sits on which node.

The machine reads no image data. What a node shows of its image (sizes, format) comes from the host.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.host import Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.host import Host

PROTOCOLS = ("file", "host_device", "host_cdrom")
"""Drivers that hold a path of the host."""

DISK_DRIVERS = {
    "ide-hd": False,
    "ide-cd": True,
    "scsi-hd": False,
    "scsi-cd": True,
    "scsi-block": False,
    "virtio-blk-pci": False,
    "virtio-blk-pci-transitional": False,
    "virtio-blk-pci-non-transitional": False,
    "usb-storage": False,
    "nvme": False,
    "floppy": True,
}
"""Device drivers that have a drive, and whether its medium can be taken out."""


class Node:
    """One block node: a driver over a file or over another node."""

    __slots__ = ("driver", "file", "image", "name", "options", "path", "read_only")

    def __init__(self, options: dict[str, object], file: Node | None, image: Image, path: str) -> None:
        self.options = options
        self.driver = str(options["driver"])
        self.name = str(options["node-name"])
        self.file = file
        self.image = image
        self.path = path
        """The file at the bottom of this node."""
        self.read_only = options.get("read-only") in (True, "on")


class Drive:
    """A device's drive. node: what is in it, None for an empty tray."""

    __slots__ = ("node", "qdev", "removable", "tray_open")

    def __init__(self, qdev: str, node: Node | None, *, removable: bool) -> None:
        self.qdev = qdev
        self.node = node
        self.removable = removable
        self.tray_open = False


NULL_BYTES = 1 << 30
"""The size of a null device for which none is given."""


def is_identifier(name: str) -> bool:
    """Whether QEMU takes it as an id: a letter, then letters, digits, `-`, `.` and `_`."""
    return name[:1].isalpha() and name.isascii() and all(c.isalnum() or c in "-._" for c in name)


def _size(options: dict[str, object]) -> int:
    size = options.get("size", NULL_BYTES)
    return size if isinstance(size, int) else int(str(size))


def _null_path(options: dict[str, object]) -> str:
    """The file at the bottom; a null device of a size of its own has no short name."""
    if options["driver"] != "null-co":
        return str(options.get("filename", ""))
    return (
        "null-co://" if "size" not in options else f'json:{{"driver": "null-co", "size": {_size(options)}}}'
    )


class Blocks:
    """All nodes and drives of a machine, in order of creation."""

    __slots__ = ("_host", "drives", "nodes")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.nodes: dict[str, Node] = {}
        self.drives: list[Drive] = []

    def add_node(self, options: dict[str, object]) -> Node:
        """Add what a -blockdev describes, its inline `file` or `image` node included. Raises Refused."""
        driver = str(options["driver"])
        file: Node | None = None
        below = options.get("image" if driver == "blkdebug" else "file")
        if isinstance(below, dict):
            file = self.add_node({"node-name": f"#block{len(self.nodes)}", **below})
        elif isinstance(below, str):
            file = self.find(below)
        path = _null_path(options) if file is None else file.path
        if driver == "blkdebug":
            path = f"blkdebug::{path}"
        image = self._image(driver, path, options, file)
        node = self.nodes[str(options["node-name"])] = Node(options, file, image, path)
        return node

    def _image(self, driver: str, path: str, options: dict[str, object], file: Node | None) -> Image:
        if driver == "blkdebug" and file is not None:
            return file.image
        if driver == "null-co":
            return Image(virtual_bytes=_size(options), file_bytes=_size(options), actual_bytes=0)
        try:
            return self._host.image("raw" if driver in PROTOCOLS else driver, path)
        except OSError as error:
            raise Refused(f"Could not open '{path}': {error.strerror}") from None

    def check_name(self, name: object) -> None:
        """Whether a new node may have this name. Raises Refused."""
        if name is None:
            raise Refused("'node-name' must be specified for the root node")
        if not is_identifier(str(name)):
            raise Refused(f"Invalid node-name: '{name}'")
        if name in self.nodes:
            raise Refused(f"Duplicate nodes with node-name='{name}'")

    def remove(self, name: str) -> None:
        """Remove a node, and what it alone was made for. Raises Refused."""
        node = self.nodes.get(name)
        if node is None:
            raise Refused(f"Failed to find node with node-name='{name}'")
        if any(drive.node is node for drive in self.drives) or any(
            n.file is node for n in self.nodes.values()
        ):
            raise Refused(f"Block device {name} is in use")
        del self.nodes[name]
        if node.file is not None and node.file.name.startswith("#"):
            self.remove(node.file.name)

    def find(self, name: str) -> Node:
        """The node of that name. Raises Refused."""
        try:
            return self.nodes[name]
        except KeyError:
            raise Refused(f"Cannot find device='{name}' nor node-name='{name}'") from None

    def plug(self, device: dict[str, object]) -> None:
        """Give a new device its drive, if its driver has one. Raises Refused."""
        removable = DISK_DRIVERS.get(str(device["driver"]))
        if removable is None:
            return
        drive = device.get("drive")
        driver, qdev = str(device["driver"]), str(device.get("id", ""))
        if drive is None and not removable:
            raise Refused("drive property not set")
        if drive is not None and drive not in self.nodes:
            raise Refused(f"Property '{_drive_owner(driver)}.drive' can't find value '{drive}'")
        node = self.find(str(drive)) if drive is not None else None
        used = next((each for each in self.drives if node is not None and each.node is node), None)
        if used is not None:
            raise Refused(
                f"Permission conflict on node '{drive}': permissions 'write' are both required by block device "
                f"'{used.qdev}' (uses node '{drive}' as 'root' child) and unshared by block device '{qdev}' (uses "
                f"node '{drive}' as 'root' child)."
            )
        if driver.startswith("virtio-blk"):  # the drive belongs to the device behind the bus
            qdev = f"/machine/peripheral/{qdev}/virtio-backend"
        elif driver == "usb-storage":
            qdev = f"/machine/peripheral/{qdev}/{qdev}.0/legacy[0]"
        self.drives.append(Drive(qdev, node, removable=removable))

    def unplug(self, qdev_id: str) -> None:
        """The device is gone, and its drive with it; the node stays."""
        behind = f"/machine/peripheral/{qdev_id}/"
        self.drives = [
            each for each in self.drives if each.qdev != qdev_id and not each.qdev.startswith(behind)
        ]


def _drive_owner(driver: str) -> str:
    return "virtio-blk-device" if driver.startswith("virtio-blk") else driver
