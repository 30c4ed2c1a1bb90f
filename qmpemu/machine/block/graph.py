"""What devices see of disks: block nodes by node-name, and which device sits on which node.

The machine reads no image data. What a node shows of its image (sizes, format) comes from the host.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.device_rules import drive_owner, new_drive
from qmpemu.machine.block.locks import PASS, PROTOCOLS, Locks
from qmpemu.machine.block.names import MADE, check_name
from qmpemu.machine.block.nodes import DISK_DRIVERS, FIRST_MADE, Drive, Node, backing_of, null_path, size_of
from qmpemu.machine.block.slices import cut, is_slice, plain
from qmpemu.machine.host import Image, NeedsOpening
from qmpemu.qmp.errors import device_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.holders import Holders
    from qmpemu.machine.host import Host


class Blocks:
    """All nodes and drives of a machine, in order of creation."""

    __slots__ = (
        "_host",
        "_made",
        "aliases",
        "copies",
        "drives",
        "holders",
        "locks",
        "loose",
        "nodes",
        "renamed",
        "temporary",
        "unopened",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self.nodes: dict[str, Node] = {}
        self.drives: list[Drive] = []
        self.aliases: dict[str, str] = {}
        """How the real block layer calls nodes that it has named itself."""
        self.copies: dict[str, Node] = {}
        """Where jobs copy to that have opened it themselves, by the job; nobody can have it meanwhile."""
        self.loose: set[str] = set()
        """Nodes that came by a file's name: they go when neither a drive nor another node is on them."""
        self.renamed: set[str] = set()
        """Nodes that the real block layer knows by another name (`names`)."""
        self.temporary: dict[str, str] = {}
        """By what names clients are told of files that have none, by their paths (`temporary`)."""
        self.unopened = False
        """Whether images are to be opened by the real block layer once they belong to this machine."""
        self._made = FIRST_MADE
        self.locks = Locks(host, self)
        self.holders: Holders | None = None
        """Who holds drives' nodes in the real block layer, where that runs."""

    def add_node(self, options: dict[str, object], *, implicit: bool = False) -> Node:
        """Add what a -blockdev describes, its inline `file`, `image` and `backing` included.

        Raises Refused, or NeedsOpening where only the real block layer can open it.
        """
        before = dict(self.nodes)
        node = self._add(options, implicit=implicit)
        try:
            self.locks.refresh()
        except Refused:
            self.nodes = before
            raise
        return node

    def _add(self, options: dict[str, object], *, implicit: bool) -> Node:
        driver = str(options["driver"])
        below = options.get("image" if driver == "blkdebug" else "file")
        made: list[Node] = []
        if isinstance(below, dict) and "read-only" in options:
            below = {"read-only": options["read-only"], **below}
        file = self._child(below, made)
        try:
            if not str(options["node-name"]).startswith(MADE):
                check_name(self, options["node-name"])
            path = null_path(options) if file is None else file.path
            if driver == "blkdebug":
                path = f"blkdebug::{path}"
            image = self._seen(driver, path, options, file)
            if file is not None and driver not in PASS and self.is_used(file):
                raise NeedsOpening(image)  # two of a format cannot both write to it
            node = Node(options, file, image, path, implicit=implicit)
            self.nodes[node.name] = node
            made.append(node)
            node.backing = self._backing(options.get("backing", backing_of(image, options)), made)
        except (Refused, NeedsOpening):
            for each in made:
                del self.nodes[each.name]
            raise
        return node

    def take_node(self, options: dict[str, object]) -> Node:
        """Keep a node that the real block layer has opened, whatever of it can be read here."""
        file = options.get("file")
        below = self.nodes.get(file) if isinstance(file, str) else None
        if isinstance(file, dict) and ("node-name" in file or file.get("driver") in PROTOCOLS):
            below = self.take_node({"node-name": file.get("node-name") or self.anonymous(), **file})
            below.implicit = True
        path = str(options.get("filename", "")) if below is None else below.path
        try:
            image = self._image(str(options["driver"]), path, options, below)
        except Refused:
            image = Image(virtual_bytes=0, file_bytes=0, actual_bytes=0)
        except NeedsOpening as needs:
            image = needs.image
        node = self.nodes[str(options["node-name"])] = Node(options, below, image, path)
        node.backing = self.nodes.get(str(options.get("backing")))
        try:
            self.locks.refresh()
            return node
        except Refused:
            self.forget(node.name)
            raise

    def forget(self, name: str) -> None:
        """The real block layer has removed it."""
        node = self.nodes.pop(name, None)
        self.loose.discard(name)
        below = node.file if node is not None else None
        if below is not None and below.implicit and not self._above(below):
            del self.nodes[below.name]
        self.locks.refresh()

    def _above(self, node: Node) -> bool:
        """Whether another node is on it."""
        return any(node in (each.file, each.backing) for each in self.nodes.values())

    def is_used(self, node: Node) -> bool:
        """Whether another node or a drive is on it."""
        return self._above(node) or any(each.node is node for each in self.drives)

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
            made.append(self._add({**given, "node-name": name}, implicit=True))
            return made[-1]
        return self.find(given) if isinstance(given, str) else None

    def _backing(self, given: object, made: list[Node]) -> Node | None:
        try:
            return self._child(given, made)
        except Refused as refused:
            raise Refused(f"Could not open backing file: {refused}", refused.hint) from None

    def _seen(self, driver: str, path: str, options: dict[str, object], file: Node | None) -> Image:
        try:
            try:
                return self._image(driver, path, options, file)
            except NeedsOpening as needs:
                needs.image.refuse(options)
                raise
        except Refused:
            if file is not None and driver not in PASS:
                self.locks.check_free(file, options)
            raise

    def _image(self, driver: str, path: str, options: dict[str, object], file: Node | None) -> Image:
        if driver in ("blkdebug", "raw") and file is not None:
            return cut(file.image, options) if is_slice(options) else plain(file.image)
        if driver == "null-co":
            return Image(virtual_bytes=size_of(options), file_bytes=size_of(options), actual_bytes=0)
        try:
            return self._host.image(driver, path)
        except NeedsOpening as needs:
            if self.locks.asleep:  # nobody may open it yet
                self.unopened = True
                return needs.image
            raise
        except OSError as error:
            if isinstance(error, IsADirectoryError):
                raise Refused(f"'{driver}' driver requires '{path}' to be a regular file") from None
            reason = str(error.strerror)
            text = f"Could not open '{path}': {reason}" if error.errno else reason
            raise Refused(text, getattr(error, "hint", "")) from None

    def let_go(self) -> None:
        """The real block layer has closed the images: what they are now is looked at from outside."""
        self.look_again()
        self.unopened = True

    def look_again(self) -> None:
        """Somebody else may have written the images meanwhile, and left bitmaps and snapshots in them."""
        for node in self.nodes.values():
            if node.driver in ("qcow2", *PROTOCOLS):
                try:
                    node.image = self._host.image(node.driver, node.path)
                except NeedsOpening as needs:
                    node.image = needs.image
                    self.unopened = True
                except OSError:
                    pass  # it has been moved away, and is what it was

    def remove(self, name: str) -> None:
        """Remove a node, and what it alone was made for. Raises Refused."""
        self._remove(name)
        self.locks.refresh()

    def _remove(self, name: str) -> None:
        node = self.nodes.get(name)
        if node is None:
            raise Refused(f"Failed to find node with node-name='{name}'")
        self.check_unused(node)
        del self.nodes[name]
        self.loose.discard(name)
        for below in (node.file, node.backing):
            if below is not None and below.implicit and not self.is_used(below):
                self._remove(below.name)

    def check_unused(self, node: Node) -> None:
        """Whether neither a drive nor another node is on it. Raises Refused."""
        if any(drive.node is node for drive in self.drives):
            raise Refused(f"Node {node.name} is in use")
        over = next((each for each in self.nodes.values() if each.backing is node), None)
        if over is not None:
            raise Refused(f"Node '{node.name}' is busy: node is used as backing hd of '{over.name}'")
        if self._above(node):
            raise Refused(f"Block device {node.name} is in use")

    def check_not_below(self, name: object) -> None:
        """Whether a node is nobody's backing file, which virtio-scsi asks of its disks. Raises Refused."""
        node = self.nodes.get(str(name))
        if node is not None and self.holders is not None:
            self.holders.check_rests(node)
        above = next(
            (each for each in self.nodes.values() if node is not None and each.backing is node), None
        )
        if above is not None:
            raise Refused(f"Node '{name}' is busy: node is used as backing hd of '{above.name}'")

    # --- what snapshots and jobs change -------------------------------------------------------------------------

    def move(self, node: str, to: str) -> None:
        """Every drive on `node`, and every node over it that is not below `to`, goes over to `to`."""
        old, new = self.nodes.get(node), self.nodes.get(to)
        if old is None or new is None:
            return
        for drive in self.drives:
            if drive.node is old:
                drive.node = new
                if new.implicit:  # it came with what was over it, and does not go with that
                    new.implicit = False
                    self.loose.add(new.name)
        below = new.chain()
        for each in self.nodes.values():
            if each not in below and old in (each.file, each.backing):
                each.stand_on(old, new)
        if self.holders is not None:
            self.holders.followed()
        self.locks.refresh()

    def set_backing(self, name: str, backing: str | None) -> None:
        """From now on `name` is over `backing`."""
        node = self.nodes.get(name)
        if node is not None and (node.backing is not None or backing is not None):  # else it may take none
            node.backing = self.nodes.get(backing) if backing is not None else None
            node.options = {**node.options, "backing": backing}
            self.locks.refresh()

    def above(self, name: str) -> str | None:
        """The node whose backing file it is."""
        node = self.nodes.get(name)
        return next((each.name for each in self.nodes.values() if each.backing is node is not None), None)

    def bottom(self, name: str) -> Node:
        """The last of its backing chain."""
        node = self.nodes[name]
        while node.backing is not None:
            node = node.backing
        return node

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

    def found(self, name: str) -> Node | None:
        """The node of that name, be it one that a job has opened for itself."""
        if name in self.nodes:
            return self.nodes[name]
        if self.holders is not None:
            self.holders.await_copies()
        return next((each for each in self.copies.values() if each.name == name), None)

    # --- devices --------------------------------------------------------------------------------------------------

    def check_drive(self, driver: str, given: object) -> None:
        """Whether there is the drive that a device of that type is given. Raises Refused."""
        known = given is None or self.found(str(given)) is not None or self.named(given) is not None
        if driver in DISK_DRIVERS and not known:
            raise Refused(f"Property '{drive_owner(driver)}.drive' can't find value '{given}'")

    def plug(self, device: dict[str, object], path: str) -> None:
        """Give a new device, at `path` of the object tree, its drive, if its driver has one. Raises Refused."""
        drive = new_drive(self, self._host, device, path)
        if drive is None:
            return
        self.drives.append(drive)
        try:
            self.locks.refresh()
        except Refused:
            self.drives.remove(drive)
            raise

    def insert(self, drive: Drive, node: Node | None) -> None:
        """Put a medium into a drive, or take it out. Raises Refused."""
        before, drive.node = drive.node, node
        try:
            if node is not None and self.holders is not None:
                self.holders.check(drive)
            self.locks.refresh()
        except Refused:
            drive.node = before
            raise

    def unplug(self, identity: str, path: str) -> None:
        """The device is gone, and its drive with it; the node stays."""
        own = (identity or path, path)
        self.drives = [
            each for each in self.drives if each.qdev not in own and not each.qdev.startswith(f"{path}/")
        ]
        self.locks.refresh()

    def leave(self, path: str) -> None:
        """The device at that path is about to go."""
        for drive in self.drives_of(path):
            if self.holders is not None:
                self.holders.leaves(drive)

    def drives_of(self, path: str) -> list[Drive]:
        """The drives of the device at that path."""
        return [
            drive
            for drive in self.drives
            if path in (drive.qdev, f"/machine/peripheral/{drive.qdev}") or drive.qdev.startswith(f"{path}/")
        ]

    @property
    def has_names(self) -> bool:
        """Whether there is a drive of the old kind."""
        return any(each.old is not None for each in self.drives)

    def named(self, name: object) -> Drive | None:
        """The drive of the old kind of that name."""
        return next((each for each in self.drives if name and each.name == name), None)

    def drive(self, name: str) -> Drive:
        """The drive of the device with that id or path. Raises QmpError (DeviceNotFound)."""
        path = name.removeprefix("/machine/peripheral/")
        for each in self.drives:
            if name == each.qdev or path == each.id == each.qdev:
                return each
        if any(name == each.id for each in self.drives):
            raise Refused("Device does not have a block device backend")
        raise device_not_found(name)
