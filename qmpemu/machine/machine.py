"""One machine's hardware, wired together: clock, registers, processor, board, character devices, serial ports."""

from __future__ import annotations

from qmpemu import acpi
from qmpemu.console import Console
from qmpemu.core.clock import NS_PER_S, Clock, MachineClock
from qmpemu.core.table import Refused
from qmpemu.machine import inputs
from qmpemu.machine.assembly import assemble
from qmpemu.machine.block.accounting import Accounting
from qmpemu.machine.board import Board
from qmpemu.machine.display import Display
from qmpemu.machine.ghash import listed
from qmpemu.machine.history import History
from qmpemu.machine.plugging import Plugging
from qmpemu.machine.processor import Processor
from qmpemu.machine.runstate import INMIGRATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from qmpemu.core.clock import Lifetime, Timer
    from qmpemu.machine.block.disk_errors import DiskErrors
    from qmpemu.machine.block.own_jobs import OwnJobs
    from qmpemu.machine.block.snapshots import Snapshots
    from qmpemu.machine.block.store import Store
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.devices.tpm import Tpm
    from qmpemu.machine.dump.dump import Dump
    from qmpemu.machine.early_backends import EarlyBackends
    from qmpemu.machine.ioports import IoPorts
    from qmpemu.machine.migration.control import Migration
    from qmpemu.machine.processor import Software
    from qmpemu.machine.qom import Object, Tree
    from qmpemu.profile import Profile

    class Disk(Protocol):
        """What of the guest's disk is kept, seen from the hardware (`guests.guest.Store`)."""

        def load(self) -> bytes | None: ...
        def save(self, data: bytes) -> None: ...
        def mark(self, dirty: bool) -> None: ...


SCI_IRQ, RTC_IRQ = 9, 8
DRAINING = ("virtio-blk-", "scsi-hd", "scsi-cd", "scsi-block")
"""Disks whose reset waits for what is on its way, so that block jobs pause; an IDE disk's does not (measured)."""


class Machine:
    """The hardware of one VM. `load` gives the software that boots on it; `-machine none` boots nothing."""

    disk: Disk | None = None
    """The guest's disk, as far as it is kept; set before the guest is loaded."""
    rtc_ahead_ns = 0
    """How far the battery-backed clock is ahead of the host's time, since the guest set it."""
    tpm: Tpm | None = None
    """The emulator of its TPM, where one was reached."""
    _qom: Tree | None = None
    _migration: Migration | None = None
    _disk_errors: DiskErrors | None = None
    _dump: Dump | None = None
    _own_jobs: OwnJobs | None = None
    _io_ports: IoPorts | None = None
    _looked_for_objects = False

    def __init__(
        self,
        early: EarlyBackends,
        profile: Profile,
        clock: Clock,
        load: Callable[[Lifetime], Software | None],
    ) -> None:
        self.config = config = early.config
        self.host = early.host
        self.facts = facts = early.facts
        self._profile = profile
        self.named_fds: dict[str, int] = {}
        """Descriptors that clients have named by getfd."""
        self.fdsets, self.chardevs = early.fdsets, early.chardevs
        self.block_layer, self.blocks = early.block_layer, early.block_layer.blocks
        self.migration_capabilities: set[str] = set()
        self.steps_clock = config.qtest_accel
        """Whether the virtual clock stands still but for `step_clock`."""
        self.virtual_clock = Clock() if config.qtest_accel else clock
        """The clock below the machine's time."""
        self._host_clock = clock
        self.clock = MachineClock(self.virtual_clock, facts, self.settle)
        self.console = Console(self.clock)
        """What the display shows, and the door for keys and pointer."""
        self.history = History(self.clock)
        facts.subscribe(self.history.heard)
        self.alarms: list[int] = []
        """When the battery-backed clock will ring, by the virtual clock in ns."""
        self.preconfig = config.preconfig
        """Whether the machine is still being configured: most commands are refused until `exit_preconfig`."""
        self.on_irq: Callable[[int, bool], None] = _nobody
        """An input of the interrupt controller changed: its number and level."""
        self.acpi = None if config.family == "none" else self._fixed_hardware()
        self.processor = Processor(self.clock, None if config.qtest_accel else load, self.history)
        self.board = Board(facts, self.clock, self.acpi, self.processor)
        self.board.on_stop = self.block_layer.drain
        for key, value in config.actions.items():
            setattr(self.board.actions, key, value)
        if config.incoming is not None:
            self.board.runstate = INMIGRATE
            self.board.autostart = not config.start_paused
        if self.acpi is not None:
            self._wire(self.acpi)
        self.open_chardev: Callable[[Chardev], object] = _nobody
        """Open the back end of a new character device; the edge sets it. Raises Refused."""
        self.close_chardev: Callable[[Chardev], object] = _nobody
        """Close it again."""
        self.display = Display(self)
        self.accounting = Accounting(self)
        self.plugging = Plugging(self, profile, early)
        self.devices, self.objects = self.plugging.devices, self.plugging.objects
        self.netdevs, self.ports = self.plugging.netdevs, self.plugging.ports
        inputs.open_doors(self)
        assemble(self, profile)
        if self.console.serial is None and "serial0" in self.chardevs and config.family != "none":
            inputs.join_serial(self, self.chardevs["serial0"])  # -serial

    @property
    def store(self) -> Store:
        """The real part of the block layer, made at first need; nothing is started by looking at it."""
        return self.block_layer.store

    @property
    def store_up(self) -> bool:
        """Whether it runs."""
        return self.block_layer.store_up

    @property
    def qom(self) -> Tree:
        """The object tree, built at first need."""
        if self._qom is None:
            from qmpemu.machine.qom import Tree

            shown, links = self.plugging.in_tree.shown(), self.plugging.in_tree.links()
            self._qom = Tree(
                self.config, self._profile, self.chardevs.values(), shown, links, preconfig=self.preconfig
            )
            self.plugging.in_tree.complete(self._qom)
            if self._looked_for_objects:
                self._qom.contain("objects")
        return self._qom

    def qom_processor(self, index: int = 0, path: str = "") -> Object:
        """A processor of the machine's model, as the object tree shows it, in a slot and at a path."""
        from qmpemu.machine.qom_processor import processor

        return processor(self.config, self._profile, index, path)

    def recorded_objects(self, wanted: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Object]:
        """The bare machine's objects by path. wanted: which of them, by their values."""
        from qmpemu.machine.qom import recorded

        return recorded(self.config, self._profile, preconfig=False, wanted=wanted)

    def graft(self, path: str, made: Callable[[], Object]) -> None:
        """Something was added: show it, where the tree was built already."""
        if self._qom is not None:
            self._qom.graft(path, made())

    def look_for_objects(self) -> None:
        """The container of user objects comes to be when somebody first looks into it (measured)."""
        self._looked_for_objects = True
        if self._qom is not None:
            self._qom.contain("objects")

    def link(self, device: Device) -> None:
        """A device is on its bus: show it, where the tree was built already."""
        if self._qom is not None and device.bus is not None:
            self._qom.link(device.bus.path, device.child, device.kind, device.path)

    def unlink(self, device: Device) -> None:
        """It is there no more."""
        self.note_removal()
        if self._qom is not None and device.bus is not None:
            self._qom.unlink(device.bus.path, device.child)

    def chardev_names(self) -> list[str]:
        """Labels in the order of the object tree."""
        table = None if self._qom is None else self._qom.root.children["chardevs"].table
        return listed(self.chardevs) if table is None else table.names()

    def note_removal(self) -> None:
        """Something is about to go from the tree, which is built now at the latest: it leaves a gap where it stood."""
        assert self.qom

    def prune(self, path: str) -> None:
        """Something is gone from the tree."""
        if self._qom is not None:
            self._qom.prune(path)

    def power_up(self) -> None:
        """What QEMU does once everything is set up: run, unless -S keeps it in prelaunch."""
        if self.board.runstate == INMIGRATE:
            if self.config.incoming != "defer" and not self.preconfig:
                self.migration.incoming.start(str(self.config.incoming))
            return
        if self.config.loadvm is not None and not self.preconfig:
            self.snapshots.load(self.config.loadvm, at_start=True)
        if not self.config.start_paused and not self.preconfig:
            self.board.cont()

    def exit_preconfig(self) -> None:
        """Start what --preconfig has held back. Raises Refused where nothing was."""
        if not self.preconfig:
            raise Refused("The command is permitted only before machine initialization")
        self.preconfig = False
        self._qom = None
        self.power_up()

    @property
    def migration(self) -> Migration:
        """Both ends of migrations, built at first need."""
        if self._migration is None:
            from qmpemu.machine.migration.control import Migration

            self._migration = Migration(self, self._profile)
        return self._migration

    @property
    def disk_errors(self) -> DiskErrors:
        """The faults of its disks, built at first need."""
        if self._disk_errors is None:
            from qmpemu.machine.block.disk_errors import DiskErrors

            self._disk_errors = DiskErrors(self)
        return self._disk_errors

    @property
    def snapshots(self) -> Snapshots:
        """Internal snapshots."""
        from qmpemu.machine.block.snapshots import Snapshots

        return Snapshots(self)

    @property
    def own_jobs(self) -> OwnJobs:
        """Jobs that are done here, built at first need."""
        if self._own_jobs is None:
            from qmpemu.machine.block.own_jobs import OwnJobs

            self._own_jobs = OwnJobs(self.facts, lambda call: self.call_in_host_time(0, call))
        return self._own_jobs

    def has_own_job(self, job: object) -> bool:
        """Whether such a job of that id is known; asked before there is any, too."""
        return self._own_jobs is not None and job in self._own_jobs.rows

    @property
    def dump(self) -> Dump:
        """The dump of its memory, built at first need."""
        if self._dump is None:
            from qmpemu.machine.dump.dump import Dump

            self._dump = Dump(self)
        return self._dump

    @property
    def migrates(self) -> bool:
        """Whether anything was ever asked about migrations."""
        return self._migration is not None

    @property
    def io_ports(self) -> IoPorts | None:
        """The I/O space, for qtest and a guest's pvpanic driver; None on `-machine none`. Built at first need."""
        if self._io_ports is None and self.acpi is not None:
            from qmpemu.machine.wiring import io_ports

            self._io_ports = io_ports(self, self.acpi)
        return self._io_ports

    # --- the virtual clock under -accel qtest -------------------------------------------------------------------

    def virtual_ns(self) -> int:
        """The virtual clock: under -accel qtest what the test has made it, else the machine's time."""
        return self.virtual_clock.now_ns if self.steps_clock else self.clock.now_ns

    def next_due_ns(self) -> int | None:
        """When the next timer of the virtual clock is due; only under -accel qtest."""
        return self.virtual_clock.next_due_ns()

    def step_clock(self, when_ns: int) -> int:
        """Move the virtual clock on to `when_ns`, running what is due; never back. -> where it is now."""
        self.virtual_clock.run_until(when_ns)
        return self.virtual_clock.now_ns

    def set_alarm(self, delay_ns: int) -> None:
        """Let the battery-backed clock ring after `delay_ns`, asleep or not."""
        if self.history.replaying:  # it has rung, or what is left of the delay came along (`migration.state`)
            return
        due_ns = self.virtual_clock.now_ns + delay_ns
        self.alarms.append(due_ns)

        def ring() -> None:
            if due_ns in self.alarms:  # else the machine has gone on from another state since
                self.alarms.remove(due_ns)
                self.board.ring()

        self.virtual_clock.call_at(due_ns, ring)

    def wall_ns(self) -> int:
        """The host's time of day, in nanoseconds since 1970."""
        seconds, microseconds = self.host.timestamp()
        return seconds * NS_PER_S + microseconds * 1000

    def arrived(self, disk: bytes | None) -> None:
        """The machine goes on from elsewhere: its disk is kept here now, and open ports are seen to be open."""
        if self.disk is not None and disk is not None:
            self.disk.save(disk)
        if self.tpm is not None:
            self._reset_tpm()
        ports = self.plugging.ports
        came = list(ports)
        self.board.once_it_runs = lambda: ports.show(came)

    def host_ns(self) -> int:
        """The host's clock, which never stands still."""
        return self._host_clock.now_ns

    def call_in_host_time(self, delay_ns: int, call: Callable[[], object]) -> Timer:
        """Run `call` after `delay_ns` of the host's clock."""
        return self._host_clock.call_at(self._host_clock.now_ns + delay_ns, call)

    def knows_any_of(self, arguments: dict[str, object]) -> bool:
        """Whether a string among a command's arguments names something of this machine, alone or within a path."""
        known = {device.id for device in self.devices.all if device.id is not None}
        known.update(self.objects.all, self.netdevs.all, self.chardevs, self.blocks.nodes)
        known.update(name for drive in self.blocks.drives for name in (drive.qdev, drive.name) if name)
        given = [value for value in arguments.values() if isinstance(value, str)]
        return any(part in known for value in given for part in (value, *value.split("/")))

    def settle(self) -> None:
        """Serve what commands, registers and the guest have requested. The end of the machine ends its block jobs."""
        self.board.serve()
        if self.blocks.loose:
            self.store.drop_unused()
        if self.board.exit_status is not None:
            if self._own_jobs is not None:
                self._own_jobs.close()
            self.block_layer.close()

    def _fixed_hardware(self) -> acpi.FixedHardware:
        chipset = acpi.ICH9 if self.config.family == "q35" else acpi.PIIX4
        config = self.config
        return acpi.FixedHardware(
            chipset,
            self.facts,
            s3_disabled=config.s3_disabled,
            s4_disabled=config.s4_disabled,
            there=config.has_pm,
            described=config.has_acpi,
        )

    def _wire(self, registers: acpi.FixedHardware) -> None:
        """The SCI goes to the processor and to whoever listens to the interrupt controller; time to the PM timer."""

        def sci_changed(level: bool) -> None:
            self.processor.sci_changed(level)
            self.on_irq(SCI_IRQ, level)

        registers.on_sci = sci_changed
        registers.use_time(acpi.PmTime(self.virtual_ns, self.clock.call_in))
        self.board.on_reset = self._reset_ports

    def _reset_ports(self) -> None:
        """Serial ports forget that a program held them; I/O ports take their values of the start; jobs pause."""
        for port in self.ports.values():
            port.set_guest_open(False)
        self.plugging.reset()
        self._reset_tpm()
        if self._io_ports is not None:
            self._io_ports.reset()
        if self.store_up:
            from qmpemu.machine.devices.resets import reset_order

            for disk in reset_order(self.devices.all):
                if disk.kind.startswith(DRAINING):
                    self.block_layer.reset(disk.path)

    def _reset_tpm(self) -> None:
        """One that refuses ends the process."""
        try:
            if self.tpm is not None:
                self.tpm.reset(self.host.report, start=self.board.runstate != INMIGRATE)
        except Refused as refused:
            self.host.report(str(refused))
            self.tpm, self.board.exit_status = None, 1


def _nobody(*_: object) -> None:
    """Nobody listens to the interrupt controller; a machine without a host has nothing to open or close."""
