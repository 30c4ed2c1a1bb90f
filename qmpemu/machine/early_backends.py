"""What is there before the machine: user objects, character devices, block nodes, network back ends, in QEMU's order.

objects ─> character devices ─> nodes (─> networks) ─> the machine, its drives and devices (`assembly`)

Light on purpose: a command line that names a missing file or a busy port is refused before the machine is imported.
The order of refusals is measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.graph import Blocks
from qmpemu.machine.block.nodes import is_simple
from qmpemu.machine.devices.netdevs import Netdevs
from qmpemu.machine.devices.objects import Objects
from qmpemu.machine.fdsets import FdSets
from qmpemu.machine.host import NeedsOpening
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.profile import Profile

    Given = TypeVar("Given")

LATE = frozenset({"colo-compare", "cryptodev-vhost-user", "qtest", "rng-egd", "vhost-user-blk-server"})
LATE_BEGINNINGS = ("filter-", "memory-backend-")


def is_late(given: dict[str, object]) -> bool:
    """Whether an object comes after networks: it needs one of the others, or takes long to make."""
    kind = str(given["qom-type"])
    return kind in LATE or kind.startswith(LATE_BEGINNINGS)


class EarlyBackends:
    """All of them, of one machine. Empty until `make`."""

    def __init__(self, config: MachineConfig, profile: Profile, host: Host) -> None:
        self._config = config
        self.fdsets = FdSets(host)
        for fd, number, opaque in config.passed_fds:
            self.fdsets.add(fd, number, opaque)
        self.chardevs = {chardev.label: chardev for chardev in config.chardevs}
        self.objects = Objects(profile, host, config.switches)
        self.blocks = Blocks(host)
        self.blocks.locks.asleep = config.incoming is not None
        self.netdevs = Netdevs(host)
        self.nodes_made = self.netdevs_made = 0
        """How many of the command line's there are already."""

    def make(self, open_chardevs: Callable[[], object] = int) -> None:
        """Make what needs no machine. open_chardevs: called where they are to be opened. Raises Refused."""
        config = self._config
        add_each([], [given for given in config.objects if not is_late(given)], self.objects.add)
        open_chardevs()
        simple = config.blockdevs[: self._simple()]
        try:
            add_each(config.typed.get("blockdev", []), simple, self._add_node)
        except NeedsOpening:
            return
        if len(simple) == len(config.blockdevs) and not (config.drives or config.flash or config.no_place):
            add_each(config.typed.get("netdev", []), config.netdevs, self.netdevs.add)
            self.netdevs_made = len(config.netdevs)

    def _simple(self) -> int:
        """How many of the first nodes can be known without the real block layer."""
        found = [place for place, each in enumerate(self._config.blockdevs) if not is_simple(each)]
        return found[0] if found else len(self._config.blockdevs)

    def _add_node(self, options: dict[str, object]) -> None:
        self.blocks.check_name(options.get("node-name"))
        self.blocks.add_node(options)
        self.nodes_made += 1


def add_each(typed: Sequence[str], given: Sequence[Given], add: Callable[[Given], object]) -> None:
    """Add one after the other; a refusal begins with the option as it was typed, where that is known."""
    for index, members in enumerate(given):
        try:
            add(members)
        except (Refused, QmpError) as error:
            text = error.desc if isinstance(error, QmpError) else str(error)
            hint = error.hint if isinstance(error, Refused) else ""
            raise Refused(f"{typed[index]}: {text}" if index < len(typed) else text, hint) from None
