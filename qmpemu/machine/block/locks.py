"""Which locks a machine's image files are under: what its nodes do to a file, and what nobody else may do meanwhile.

    nodes, drives ──demands──> per file: (used, unshared) ──> host.lock(path).set(used, unshared)

Measured on QEMU 7.2 by probing the bytes it locks:

    a format, writable           reads, writes and resizes the file; nobody else may write or resize
    a format, read only          reads; nobody else may write or resize
    a drive                      reads, and writes what is writable; nobody else may write, or also resize
    a drive with share-rw        reads and writes
    a drive without a device     nothing
    raw below an overlay in use  reads; nobody else may write or resize
    force-share                  reads; locking=off: nothing
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.block.graph import Blocks
    from qmpemu.machine.block.nodes import Drive, Node
    from qmpemu.machine.host import Host, ImageLock

READ, WRITE, UNCHANGED, RESIZE = range(4)
"""What can be done to a file, by QEMU's numbers; UNCHANGED writes what was read before."""
NONE: frozenset[int] = frozenset()
KEPT = frozenset({WRITE, RESIZE})
"""What a format leaves to nobody else."""
PROTOCOLS = ("file", "host_device", "host_cdrom")
PASS = ("raw", "blkdebug", "throttle", "copy-on-read", "blkverify", "blklogwrites", "compress")
"""Drivers that do to the node below what is done to them."""
FIXED = ("ide-cd", "scsi-cd", "floppy", "nvme")
"""Drives whose size may not change."""

Demand = tuple[frozenset[int], frozenset[int]]
"""What is done to a node, and what nobody else may do."""
NOTHING: Demand = (NONE, NONE)
NAMES = ("consistent read", "write", "write unchanged", "resize")
HINT = "Is another process using the image [{path}]?"


class Locks:
    """The locks of one machine, which follow its graph at each `refresh`. asleep: the guest is still to come."""

    def __init__(self, host: Host, blocks: Blocks) -> None:
        self._host = host
        self._blocks = blocks
        self._held: dict[Node, tuple[ImageLock, Demand]] = {}
        self.asleep = False
        """Whether the images belong to nobody here: the guest is still to come."""
        self.elsewhere: frozenset[str] = frozenset()
        """Nodes whose files others write to meanwhile: the real block layer only reads them."""
        self.exported: set[str] = set()
        """Nodes that are used here before the guest comes."""
        self.left: frozenset[str] = frozenset()
        """Nodes that were there when the guest went."""
        self._inactive = False
        """Whether the guest is gone: images are only read."""
        self._given = False
        """Whether the real block layer has the images, and its own locks on them."""
        self._own: dict[Node, Demand] = {}
        """What was asked for when that was so: what stands against each other in here, it does not see."""

    @property
    def away(self) -> bool:
        """Whether the guest is somewhere else, and the images may change there."""
        return self.asleep or self._inactive

    def refresh(self) -> None:
        """Put every file under the locks that the graph asks for. Raises Refused; then nothing has changed."""
        own = self._checked() if self._given and not self.away else {}
        if self._blocks.holders is not None:
            self._blocks.holders.refresh()
        wanted = {} if self.asleep else self._wanted()
        before = {node: demand for node, (_, demand) in self._held.items()}
        try:
            self._apply(wanted)
        except Refused:
            self._apply(before)
            raise
        self._own = own

    def check_with(self, drive: Drive) -> None:
        """Whether a further drive could be there beside those that are, in the real block layer. Raises Refused."""
        self._blocks.drives.append(drive)
        try:
            if not self.away:
                self._checked()
        finally:
            self._blocks.drives.remove(drive)

    def _checked(self) -> dict[Node, Demand]:
        """All demands, where no new one stands against another on the same file. Raises Refused."""
        demands = self._wanted(whole=True)
        for node, demand in demands.items():
            if self._own.get(node) == demand:
                continue
            for other, theirs in demands.items():
                if other is not node and other.path == node.path:
                    _check(demand, theirs, node.path)
        return demands

    def check_free(self, node: Node, options: dict[str, object]) -> None:
        """Whether a format could have a file, for what is wrong with its content is seen after that. Raises Refused."""
        if self.asleep or node.driver not in PROTOCOLS or node.options.get("locking") == "off":
            return
        lock = self._host.lock(node.path)
        shared = options.get("force-share") in (True, "on")
        try:
            lock.set(_used(options.get("read-only") in (True, "on")), NONE if shared else KEPT)
        finally:
            lock.close()

    def wake(self) -> None:
        """The guest is here, or comes back: take the locks. Raises Refused where somebody else has them."""
        before = self.asleep, self._inactive, self.left
        self.asleep = self._inactive = False
        self.left = frozenset()
        try:
            self.refresh()
        except Refused:
            self.asleep, self._inactive, self.left = before
            raise

    def contended(self) -> frozenset[str]:
        """Nodes that could not be opened now: somebody else has their files."""
        names = set()
        for node, demand in self._wanted().items():
            lock = self._host.lock(node.path)
            try:
                lock.set(*demand)
            except Refused:
                names.add(node.name)
            lock.close()
        for node in self._blocks.nodes.values():
            below = node.file
            while below is not None:
                if below.name in names:
                    names.add(node.name)
                below = below.file
        return frozenset(names)

    def leave(self) -> None:
        """The guest runs elsewhere from now on: others may write."""
        self._inactive = True
        self.left = frozenset(self._blocks.nodes)
        self.refresh()

    def elsewhere_found(self, node: Node) -> str | None:
        """By what path a node's file is found, if not by its own any more."""
        lock, _ = self._held.get(node, (None, NOTHING))
        return None if lock is None else lock.elsewhere()

    def give(self) -> None:
        """The real block layer opens the images: it locks what formats need, and a drive's files stay in use."""
        self._given = True
        self.refresh()

    def take_back(self) -> None:
        """It has closed them. Who has taken a lock in between keeps it."""
        self._given = False
        try:
            self.refresh()
        except Refused as refused:
            self._host.report(f"{refused} of an image that was locked before")

    def _apply(self, wanted: dict[Node, Demand]) -> None:
        for node in [each for each in self._held if each not in wanted]:
            self._held.pop(node)[0].close()
        for node, demand in wanted.items():
            lock, before = self._held.get(node, (None, NOTHING))
            if demand == before and lock is not None:
                continue
            lock = lock or self._host.lock(node.path)
            self._held[node] = lock, before
            lock.set(*demand)
            self._held[node] = lock, demand

    def _wanted(self, *, whole: bool = False) -> dict[Node, Demand]:
        """What is asked of each file. whole: also what the real block layer has asked for."""
        given = self._given and not whole
        above: dict[Node, list[tuple[Node, bool]]] = {}
        """Who is over a node: the node above, and whether it is its backing file."""
        drives: dict[Node, list[Drive]] = {}
        for drive in self._blocks.drives:
            if drive.node is not None:
                drives.setdefault(drive.node, []).append(drive)
        for node in self._blocks.nodes.values():
            for below, backing in ((node.file, False), (node.backing, True)):
                if below is not None:
                    above.setdefault(below, []).append((node, backing))

        def demand(node: Node) -> Demand:
            """All that is asked of a node."""
            found = [_of_drive(drive, node) for drive in drives.get(node, ()) if whole or not drive.held]
            for user, backing in above.get(node, ()):
                if backing:
                    found.append((frozenset({READ}), KEPT) if demand(user)[0] else NOTHING)
                else:
                    asked = NOTHING if given else _of_format(user)
                    found.append(demand(user) if user.driver in PASS else asked)
            return NONE.union(*(used for used, _ in found)), NONE.union(*(kept for _, kept in found))

        files = filter(_is_file, self._blocks.nodes.values())
        return {node: self._limited(node, demand(node), given=given) for node in files}  # open, locked or not

    def _limited(self, node: Node, demand: Demand, *, given: bool) -> Demand:
        """What of it is asked for now, and of this file."""
        used, unshared = demand
        if node.options.get("locking") == "off":
            return NOTHING
        if self._inactive:
            return used & {READ}, NONE
        return used, NONE if given or _shared(node) else unshared


def _is_file(node: Node) -> bool:
    """Whether its path is its own: a file, or a node that the real block layer has opened with its file."""
    return node.driver in PROTOCOLS or (node.driver in PASS and node.file is None and bool(node.path))


def _shared(node: Node) -> bool:
    return node.options.get("force-share") in (True, "on")


def _of_format(node: Node) -> Demand:
    """What a node of a format asks of its file, whoever is on it."""
    return _used(node.read_only), NONE if _shared(node) else KEPT


def _used(read_only: bool) -> frozenset[int]:
    return frozenset({READ} if read_only else {READ, WRITE, RESIZE})


def _check(asked: Demand, others: Demand, path: str) -> None:
    """Whether what is asked can be beside what others have asked for. Raises Refused."""
    for number, name in enumerate(NAMES):
        if number in asked[0] & others[1]:
            raise Refused(f'Failed to get "{name}" lock', HINT.format(path=path))
        if number in asked[1] & others[0]:
            raise Refused(f'Failed to get shared "{name}" lock', HINT.format(path=path))


def _of_drive(drive: Drive, node: Node) -> Demand:
    if not drive.attached:
        return NOTHING
    writes = not node.read_only and not drive.driver.endswith("-cd")
    kept = KEPT if drive.driver in FIXED else frozenset({WRITE})
    return frozenset({READ, WRITE} if writes else {READ}), kept - {WRITE} if drive.shares else kept
