"""What devices see of disks: block nodes by node-name, and which device sits on which node.

The machine reads no image data. What a node shows of its image (sizes, format) comes from the host.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.host import Image
from qmpemu.qmp.errors import device_not_found

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

    __slots__ = (
        "backing",
        "driver",
        "file",
        "image",
        "implicit",
        "name",
        "options",
        "path",
        "read_only",
        "write_threshold",
    )

    def __init__(
        self,
        options: dict[str, object],
        file: Node | None,
        image: Image,
        path: str,
        *,
        implicit: bool = False,
    ) -> None:
        self.options = options
        self.driver = str(options["driver"])
        self.name = str(options["node-name"])
        self.file = file
        self.backing: Node | None = None
        self.implicit = implicit
        """Whether it came with another node and goes with it."""
        self.write_threshold = 0
        self.image = image
        self.path = path
        """The file at the bottom of this node."""
        self.read_only = options.get("read-only") in (True, "on")


class Drive:
    """A device's drive. node: what is in it, None for an empty tray. id: the device's own.

    throttle: limits as in block_set_io_throttle, without those that are 0. group: whose limits they are.
    read_error, write_error: what is done when the guest's access fails: report, ignore, stop or enospc.
    has_tray: a floppy's drive has none, nor an I/O status. histograms: boundaries of read, write, flush, in ns.
    """

    __slots__ = (
        "group",
        "has_tray",
        "histograms",
        "id",
        "io_status",
        "node",
        "qdev",
        "read_error",
        "removable",
        "throttle",
        "tray_open",
        "write_error",
    )

    def __init__(
        self, qdev: str, node: Node | None, *, removable: bool, id: str = "", has_tray: bool = True
    ) -> None:
        self.id = id
        self.has_tray = has_tray
        self.histograms: dict[str, list[int]] = {}
        self.qdev = qdev
        self.node = node
        self.removable = removable
        self.tray_open = False
        self.throttle: dict[str, int] = {}
        self.group: str | None = None
        self.io_status = "ok"
        self.read_error, self.write_error = "report", "enospc"


FIRST_MADE = 9000
"""Above the numbers of names that a real block layer makes itself."""
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


SIMPLE = {
    **dict.fromkeys(
        PROTOCOLS, ("filename", "aio", "locking", "pr-manager", "drop-cache", "x-check-cache-dropped")
    ),
    "null-co": ("size", "latency-ns"),
    "raw": ("file",),
    "qcow2": ("file", "backing", *(f"pass-discard-{what}" for what in ("request", "snapshot", "other"))),
    "blkdebug": ("image", "config"),
}
"""Drivers, and which of their options change nothing that is seen of a node before it does real work."""
GENERAL = (
    "driver",
    "node-name",
    "read-only",
    "auto-read-only",
    "cache",
    "discard",
    "detect-zeroes",
    "force-share",
)


def is_simple(options: dict[str, object]) -> bool:
    """Whether all that is seen of such a node is known without opening it."""
    known = SIMPLE.get(str(options["driver"]), ())
    inline = [each for each in options.values() if isinstance(each, dict) and "driver" in each]
    fits = all(name in GENERAL or name in known for name in options)
    return fits and options["driver"] in SIMPLE and all(is_simple(each) for each in inline)


def _backing(image: Image) -> dict[str, object] | None:
    """What the image says that it is over."""
    if image.backing is None:
        return None
    path, form = image.backing
    return {"driver": form, "read-only": True, "file": {"driver": "file", "filename": path}}


class Blocks:
    """All nodes and drives of a machine, in order of creation."""

    __slots__ = ("_host", "_made", "drives", "loose", "nodes", "renamed")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.nodes: dict[str, Node] = {}
        self.drives: list[Drive] = []
        self.loose: set[str] = set()
        """Nodes that came by a file's name: they go when neither a drive nor another node is on them."""
        self.renamed: set[str] = set()
        """Nodes that the real block layer knows by another name (`names`)."""
        self._made = FIRST_MADE

    def add_node(self, options: dict[str, object], *, implicit: bool = False) -> Node:
        """Add what a -blockdev describes, its inline `file`, `image` and `backing` included. Raises Refused."""
        driver = str(options["driver"])
        below = options.get("image" if driver == "blkdebug" else "file")
        made: list[Node] = []
        if isinstance(below, dict) and "read-only" in options:
            below = {"read-only": options["read-only"], **below}
        file = self._child(below, made)
        try:
            path = _null_path(options) if file is None else file.path
            if driver == "blkdebug":
                path = f"blkdebug::{path}"
            self._lock(driver, options, file)
            image = self._image(driver, path, options, file)
            node = Node(options, file, image, path, implicit=implicit)
            self.nodes[node.name] = node
            made.append(node)
            node.backing = self._child(options.get("backing", _backing(image)), made)
        except Refused:
            for each in made:
                del self.nodes[each.name]
            raise
        return node

    def _lock(self, driver: str, options: dict[str, object], file: Node | None) -> None:
        """A writable qcow2 has its file for itself, in this process too (measured). Raises Refused."""
        if driver != "qcow2" or file is None or options.get("read-only") in (True, "on"):
            return
        for each in self.nodes.values():
            other = each.file if each.driver == "qcow2" and not each.read_only else None
            if other is not None and other is not file and other.path == file.path:
                raise Refused(
                    'Failed to get "write" lock', f"Is another process using the image [{file.path}]?"
                )

    def take_node(self, options: dict[str, object]) -> None:
        """Keep a node that the real block layer has opened, whatever of it can be read here."""
        file = options.get("file")
        path = str(options.get("filename", ""))
        below = self.nodes.get(file) if isinstance(file, str) else None
        if isinstance(file, dict):
            path = str(file.get("filename", ""))
            if "node-name" in file:
                self.take_node(file)
                below = self.nodes[str(file["node-name"])]
                below.implicit = True
        path = path if below is None else below.path
        try:
            image = self._image(str(options["driver"]), path, options, below)
        except Refused:
            image = Image(virtual_bytes=0, file_bytes=0, actual_bytes=0)
        node = Node(options, below, image, path)
        node.backing = self.nodes.get(str(options.get("backing")))
        self.nodes[node.name] = node

    def forget(self, name: str) -> None:
        """The real block layer has removed it."""
        self.nodes.pop(name, None)
        self.loose.discard(name)

    def anonymous(self) -> str:
        """A name for a node that was given none."""
        self._made += 1
        return f"#block{self._made}"

    def unused(self) -> list[str]:
        """Loose nodes that nothing is on."""
        used = {drive.node.name for drive in self.drives if drive.node is not None}
        for node in self.nodes.values():
            used.update(below.name for below in (node.file, node.backing) if below is not None)
        return [name for name in self.loose if name not in used]

    def _child(self, given: object, made: list[Node]) -> Node | None:
        if isinstance(given, dict):
            name = given.get("node-name") or self.anonymous()
            made.append(self.add_node({**given, "node-name": name}, implicit=True))
            return made[-1]
        return self.find(given) if isinstance(given, str) else None

    def _image(self, driver: str, path: str, options: dict[str, object], file: Node | None) -> Image:
        if driver in ("blkdebug", "raw") and file is not None:
            return file.image
        if driver == "null-co":
            return Image(virtual_bytes=_size(options), file_bytes=_size(options), actual_bytes=0)
        try:
            return self._host.image("raw" if driver in PROTOCOLS else driver, path)
        except OSError as error:
            if isinstance(error, IsADirectoryError):
                raise Refused(f"'{driver}' driver requires '{path}' to be a regular file") from None
            reason = str(error.strerror)
            raise Refused(f"Could not open '{path}': {reason}" if error.errno else reason) from None

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
        self.check_unused(node)
        self.forget(name)
        for below in (node.file, node.backing):
            if below is not None and below.implicit:
                self.remove(below.name)

    def check_unused(self, node: Node) -> None:
        """Whether neither a drive nor another node is on it. Raises Refused."""
        if any(drive.node is node for drive in self.drives):
            raise Refused(f"Node {node.name} is in use")
        if any(node in (each.file, each.backing) for each in self.nodes.values()):
            raise Refused(f"Block device {node.name} is in use")

    # --- what snapshots and jobs change -------------------------------------------------------------------------

    def move(self, node: str, to: str) -> None:
        """Every drive on `node`, and every node that has it for backing file, goes over to `to`."""
        old, new = self.nodes.get(node), self.nodes.get(to)
        if old is None or new is None:
            return
        for drive in self.drives:
            if drive.node is old:
                drive.node = new

    def set_backing(self, name: str, backing: str | None) -> None:
        """From now on `name` is over `backing`."""
        node = self.nodes.get(name)
        if node is not None:
            node.backing = self.nodes.get(backing) if backing is not None else None
            node.options = {**node.options, "backing": backing}

    def above(self, name: str) -> str | None:
        """The node whose backing file it is."""
        node = self.nodes.get(name)
        return next((each.name for each in self.nodes.values() if each.backing is node is not None), None)

    def bottom(self, name: str) -> str:
        """The last of its backing chain."""
        node = self.nodes[name]
        while node.backing is not None:
            node = node.backing
        return node.name

    def replayed(self) -> list[dict[str, object]]:
        """What makes all nodes anew: their options, each after those it refers to."""
        done: dict[str, dict[str, object]] = {}

        def add(node: Node) -> None:
            for below in (node.file, node.backing):
                if below is not None:
                    add(below)
            if not node.implicit:
                done.setdefault(node.name, node.options)

        for node in self.nodes.values():
            add(node)
        return list(done.values())

    def find(self, name: str) -> Node:
        """The node of that name. Raises Refused."""
        try:
            return self.nodes[name]
        except KeyError:
            raise Refused(f"Cannot find device='{name}' nor node-name='{name}'") from None

    # --- devices --------------------------------------------------------------------------------------------------

    def plug(self, device: dict[str, object], path: str) -> None:
        """Give a new device, at `path` of the object tree, its drive, if its driver has one. Raises Refused."""
        driver, identity = str(device["driver"]), str(device.get("id", ""))
        removable = DISK_DRIVERS.get(driver)
        if removable is None:
            return
        given = device.get("drive")
        if given is None and not removable:
            raise Refused("drive property not set")
        if given is not None and given not in self.nodes:
            raise Refused(f"Property '{_drive_owner(driver)}.drive' can't find value '{given}'")
        node = self.nodes[str(given)] if given is not None else None
        qdev = _qdev(driver, identity, path)
        used = next((each for each in self.drives if node is not None and each.node is node), None)
        if used is not None and not node_shared(device, used):
            raise Refused(
                f"Permission conflict on node '{given}': permissions 'write' are both required by block device "
                f"'{used.qdev}' (uses node '{given}' as 'root' child) and unshared by block device '{qdev}' (uses "
                f"node '{given}' as 'root' child)."
            )
        drive = Drive(qdev, node, removable=removable, id=identity, has_tray=driver != "floppy")
        drive.read_error = _policy(device.get("rerror"), drive.read_error)
        drive.write_error = _policy(device.get("werror"), drive.write_error)
        self.drives.append(drive)

    def unplug(self, identity: str, path: str) -> None:
        """The device is gone, and its drive with it; the node stays."""
        own = (identity or path, path)
        self.drives = [
            each for each in self.drives if each.qdev not in own and not each.qdev.startswith(f"{path}/")
        ]

    def drive(self, name: str) -> Drive:
        """The drive of the device with that id or path. Raises QmpError (DeviceNotFound)."""
        path = name.removeprefix("/machine/peripheral/")
        for each in self.drives:
            if name == each.qdev or path == each.id == each.qdev:
                return each
        if any(name == each.id for each in self.drives):
            raise Refused("Device does not have a block device backend")
        raise device_not_found(name)


def _policy(given: object, default: str) -> str:
    return default if given in (None, "auto") else str(given)


def node_shared(device: dict[str, object], other: Drive) -> bool:
    """Whether both only read, or say that they share writing."""
    return device.get("share-rw") in (True, "on") or (other.node is not None and other.node.read_only)


def _drive_owner(driver: str) -> str:
    return "virtio-blk-device" if driver.startswith("virtio-blk") else driver


def _qdev(driver: str, identity: str, path: str) -> str:
    """How query-block names the device: the one behind the bus where there are two."""
    if driver.startswith("virtio-blk"):
        return f"{path}/virtio-backend"
    if driver == "usb-storage":
        return f"{path}/{identity}.0/legacy[0]"
    return identity or path
