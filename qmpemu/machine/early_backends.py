"""What is there before the machine: user objects, character devices, block nodes, network back ends, in QEMU's order.

objects ─> character devices ─> nodes ─> drives, flash ─> networks ─> the machine and its devices (`assembly`)

Light on purpose: a command line that names a missing file or a busy port is refused before the machine is imported.
The order of refusals is measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.block.layer import BlockLayer
from qmpemu.machine.devices.netdevs import Netdevs
from qmpemu.machine.devices.objects import Objects
from qmpemu.machine.fdsets import FdSets
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from qmpemu.core.facts import Bus
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

    def __init__(self, config: MachineConfig, profile: Profile, host: Host, facts: Bus) -> None:
        self.config = config
        self.host = host
        self.facts = facts
        self.fdsets = FdSets(host)
        for fd, number, opaque in config.passed_fds:
            self.fdsets.add(fd, number, opaque)
        self.chardevs = {chardev.label: chardev for chardev in config.chardevs}
        self.objects = Objects(profile, host, config)
        self.block_layer = BlockLayer(host, facts, self.objects.given)
        self.block_layer.blocks.locks.asleep = config.incoming is not None
        self.netdevs = Netdevs(host)

    def make(self, open_chardevs: Callable[[], object] = int) -> None:
        """Make what the command line asks for. open_chardevs: called where they are to be opened. Raises Refused."""
        config, layer = self.config, self.block_layer
        add_each([], [given for given in config.objects if not is_late(given)], self.objects.add)
        open_chardevs()
        add_each(config.typed.get("blockdev", []), config.blockdevs, layer.add)
        if config.drives:
            from qmpemu.machine.block.old_drives import add

            add_each(config.typed.get("drive", []), config.drives, lambda drive: add(layer, drive))
        if config.no_place is not None:
            raise Refused(config.no_place)
        if config.flash or config.drives:
            from qmpemu.machine.block import flash

            flash.fit(layer.blocks, config)
        add_each(config.typed.get("netdev", []), config.netdevs, self._add_network)

    def _add_network(self, given: dict[str, object]) -> None:
        if given["type"] != "user":  # of which there is nothing to look at
            from qmpemu.machine.devices import network_rules

            network_rules.check(given, self.host, self.chardevs)
        self.netdevs.add(given)


def add_each(typed: Sequence[str], given: Sequence[Given], add: Callable[[Given], object]) -> None:
    """Add one after the other; a refusal begins with the option as it was typed, where that is known."""
    for index, members in enumerate(given):
        try:
            add(members)
        except (Refused, QmpError) as error:
            text = error.desc if isinstance(error, QmpError) else str(error)
            hint = error.hint if isinstance(error, Refused) else ""
            raise Refused(f"{typed[index]}: {text}" if index < len(typed) else text, hint) from None
