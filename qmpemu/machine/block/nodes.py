"""Nodes and drives, and what is known of a node by its options alone."""

from __future__ import annotations

from qmpemu.machine.block.accounting import Counts
from qmpemu.machine.block.locks import PASS, PROTOCOLS
from qmpemu.machine.block.shown import name
from qmpemu.machine.block.slices import is_slice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import OldDrive
    from qmpemu.machine.host import Image

DISK_DRIVERS = {
    "ide-hd": False,
    "ide-cd": True,
    "scsi-hd": False,
    "scsi-cd": True,
    "scsi-block": False,
    "scsi-generic": False,
    "virtio-blk-pci": False,
    "virtio-blk-pci-transitional": False,
    "virtio-blk-pci-non-transitional": False,
    "usb-storage": False,
    "nvme": False,
    "floppy": True,
}
"""Device drivers that have a drive, and whether its medium can be taken out."""
FLASH = "/machine/system.flash"
"""Where firmware's flash chips stand: `qdev` of their drives begins so."""
REMOVABLE = ("scsi-hd", "usb-storage")
"""Those that may say of their medium that it can be taken out (removable=on); one has to be there all the same."""


class Node:
    """One block node: a driver over a file or over another node."""

    __slots__ = (
        "backing",
        "driver",
        "file",
        "highest",
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
        self.highest = 0
        """Behind the last byte that was written."""
        self.image = image
        self.path = path
        """The file at the bottom of this node."""
        self.read_only = options.get("read-only") in (True, "on")

    @property
    def bottom(self) -> Node:
        """The file, of which all others are views."""
        return self if self.file is None else self.file.bottom

    def chain(self) -> set[Node]:
        """The node and all below it."""
        return {self}.union(*(each.chain() for each in (self.file, self.backing) if each is not None))

    def stand_on(self, old: Node, new: Node) -> None:
        """Be over another node than before."""
        if self.file is old:
            key = "image" if "image" in self.options else "file"
            self.file, self.options, self.path = new, {**self.options, key: new.name}, new.path
            self.image = new.image if self.driver in PASS else self.image
        if self.backing is old:
            self.backing, self.options = new, {**self.options, "backing": new.name}
        old.implicit = False

    @property
    def shown_path(self) -> str:
        """The file, or by what a part of it, or one over another backing file, is told of."""
        return name(self)


class Drive:
    """A device's drive. node: what is in it, None for an empty tray. id: the device's own.

    throttle: limits as in block_set_io_throttle, without those that are 0. group: whose limits they are.
    read_error, write_error: what is done when the guest's access fails: report, ignore, stop or enospc.
    driver: the device's. shares: whether others may write as well (share-rw). write_through: each write is flushed.
    has_tray: a floppy's drive has none. histograms: boundaries of read, write, flush, in ns.
    old, name: of a drive of the old kind (-drive), which may be there without a device. attached: whether one is on it.
    """

    __slots__ = (
        "attached",
        "counts",
        "driver",
        "group",
        "has_tray",
        "held",
        "histograms",
        "id",
        "io_status",
        "name",
        "node",
        "old",
        "qdev",
        "read_error",
        "removable",
        "shares",
        "throttle",
        "top",
        "tray_open",
        "write_error",
        "write_through",
    )

    def __init__(
        self, qdev: str, node: Node | None, *, removable: bool, id: str = "", has_tray: bool = True
    ) -> None:
        self.id = id
        self.name = ""
        self.top = ""
        """The node that it was on when a command last named it: that of a job's filter, where one is over its own."""
        self.attached = True
        self.held = False
        """Whether the real block layer keeps its node in use (`holders`)."""
        self.old: OldDrive | None = None
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
        self.driver = ""
        self.shares = False
        self.write_through = False
        self.counts = Counts()

    @property
    def has_status(self) -> bool:
        """Whether failures of its accesses are kept to be asked for: where one could stop the machine."""
        stops = self.write_error in ("stop", "enospc") or self.read_error == "stop"
        return stops and self.has_tray and self.driver != "nvme"


def policy(given: object, default: str) -> str:
    """What is done at an error: as a device says, or as it was."""
    return default if given in (None, "auto") else str(given)


def through(given: object, *, default: bool) -> bool:
    """Whether each write is flushed: as a device's write-cache says, or as it was."""
    return default if given in (None, "auto") else given in (False, "off")


FIRST_MADE = 9000
"""Above the numbers of names that a real block layer makes itself."""
NULL_BYTES = 1 << 30
"""The size of a null device for which none is given."""


def size_of(options: dict[str, object]) -> int:
    size = options.get("size", NULL_BYTES)
    return size if isinstance(size, int) else int(str(size))


def null_path(options: dict[str, object]) -> str:
    """The file at the bottom; a null device that is not as all are has no short name."""
    if options["driver"] != "null-co":
        path = options.get("filename", "")
        return path if isinstance(path, str) else str(path)  # one that is told of by another name stays so
    members = null_options(options)
    if len(members) == 1:
        return "null-co://"
    from json import dumps

    return "json:" + dumps(members)


def null_options(options: dict[str, object]) -> dict[str, object]:
    """Those by which a null device is told of."""
    from qmpemu.qmp.order import ordered

    members: dict[str, object] = {"driver": "null-co"}
    if "size" in options:
        members["size"] = getattr(options["size"], "text", None) or size_of(options)
    if "read-zeroes" in options:
        members["read-zeroes"] = options["read-zeroes"] in (True, "on")
    return dict(ordered(members))


SIMPLE = {
    **dict.fromkeys(
        PROTOCOLS, ("filename", "aio", "locking", "pr-manager", "drop-cache", "x-check-cache-dropped")
    ),
    "null-co": ("size", "latency-ns"),
    "raw": ("file", "offset", "size"),
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
    if is_slice(options) and not (inline and inline[0]["driver"] in PROTOCOLS):
        return False  # it is told of by what it is a part of
    fits = all(name in GENERAL or name in known for name in options)
    return fits and options["driver"] in SIMPLE and all(is_simple(each) for each in inline)


def backing_of(image: Image, options: dict[str, object]) -> dict[str, object] | None:
    """What the image says that it is over, shared as the image is."""
    if image.backing is None or options["driver"] != "qcow2":
        return None
    path, form = image.backing
    shared = {"force-share": options["force-share"]} if "force-share" in options else {}
    return {"driver": form, "read-only": True, **shared, "file": {"driver": "file", "filename": path}}
