"""One machine's hardware, wired together: clock, registers, processor, board, character devices, serial ports."""

from __future__ import annotations

from qmpemu import acpi
from qmpemu.core.clock import MachineClock
from qmpemu.core.facts import Fact
from qmpemu.machine.block import Blocks
from qmpemu.machine.board import Board
from qmpemu.machine.fdsets import FdSets
from qmpemu.machine.processor import Processor
from qmpemu.port import Port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.core.clock import Clock, Lifetime
    from qmpemu.core.facts import Bus
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host
    from qmpemu.machine.processor import Software
    from qmpemu.machine.qom import Tree
    from qmpemu.profile import Profile


class PortOpened(Fact):
    """A program in the guest opened or closed a virtio-serial port (QMP event VSERPORT_CHANGE)."""

    id: str
    open: bool


class Machine:
    """The hardware of one VM. `load` gives the software that boots on it; `-machine none` boots nothing."""

    def __init__(
        self,
        config: MachineConfig,
        profile: Profile,
        host: Host,
        clock: Clock,
        facts: Bus,
        load: Callable[[Lifetime], Software | None],
    ) -> None:
        self.config = config
        self.host = host
        self.facts = facts
        self._profile = profile
        self._qom: Tree | None = None
        self.named_fds: dict[str, int] = {}
        """Descriptors that clients have named by getfd."""
        self.fdsets = FdSets(host)
        self.migration_capabilities: set[str] = set()
        self.balloon_target_bytes = config.memory_bytes
        """What the balloon device asks of the guest; a guest without a balloon driver does not follow."""
        self.clock = MachineClock(clock, facts, self.settle)
        self.acpi = None if config.family == "none" else self._fixed_hardware()
        self.processor = Processor(self.clock, load)
        self.board = Board(facts, self.clock, self.acpi, self.processor)
        for key, value in config.actions.items():
            setattr(self.board.actions, key, value)
        self.chardevs: dict[str, Chardev] = {chardev.label: chardev for chardev in config.chardevs}
        self.ports: dict[str, Port] = {}
        self.blocks = Blocks(host)
        for options in config.blockdevs:
            self.blocks.add_node(options)
        for device in config.devices:
            self.blocks.plug(device)
            self._plug_chardev(device)

    @property
    def qom(self) -> Tree:
        """The object tree, built at first need."""
        if self._qom is None:
            from qmpemu.machine.qom import Tree

            self._qom = Tree(self.config, self._profile)
        return self._qom

    def power_up(self) -> None:
        """What QEMU does once everything is set up: run, unless -S keeps it in prelaunch."""
        if not self.config.start_paused:
            self.board.cont()

    def knows_any_of(self, arguments: dict[str, object]) -> bool:
        """Whether a string among a command's arguments names something of this machine, alone or within a path."""
        config = self.config
        known = {
            str(each["id"]) for each in (*config.devices, *config.objects, *config.netdevs) if "id" in each
        }
        known.update(self.chardevs, self.blocks.nodes, (drive.qdev for drive in self.blocks.drives))
        given = [value for value in arguments.values() if isinstance(value, str)]
        return any(part in known for value in given for part in (value, *value.split("/")))

    def settle(self) -> None:
        """Serve what commands, registers and the guest have requested."""
        self.board.serve()

    def _fixed_hardware(self) -> acpi.FixedHardware:
        chipset = acpi.ICH9 if self.config.family == "q35" else acpi.PIIX4
        return acpi.FixedHardware(
            chipset, self.facts, s3_disabled=self.config.s3_disabled, s4_disabled=self.config.s4_disabled
        )

    def _plug_chardev(self, device: dict[str, object]) -> None:
        """Join a device and its character device: a port is open when the guest says so, a serial line always."""
        chardev = self.chardevs.get(str(device.get("chardev")))
        if device["driver"] in ("virtserialport", "virtconsole"):
            self._plug_port(device, chardev)
        elif chardev is not None:
            chardev.frontend_open = True

    def _plug_port(self, device: dict[str, object], chardev: Chardev | None) -> None:
        name = str(device.get("name", ""))
        port = self.ports[name] = Port(name)

        def guest_open(opened: bool) -> None:
            if chardev is not None:
                chardev.frontend_open = opened
            self.facts.publish(PortOpened(id=str(device.get("id", "")), open=opened))

        port.on_guest_open = guest_open
        if chardev is not None:
            port.on_guest_data = lambda data: chardev.write(data)
            chardev.receive = port.host_write
            chardev.on_connected = port.host_open
