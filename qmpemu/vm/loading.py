"""How a guest gets onto a machine: what it is loaded with, and the clock on the wall that its own is set from."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from qmpemu.acpi import FixedHardware
    from qmpemu.core.clock import Clock, Lifetime
    from qmpemu.guests.guest import Guest, Platform
    from qmpemu.guests.registry import Traffic
    from qmpemu.guests.windows.participants import Participant
    from qmpemu.hardware import Hardware
    from qmpemu.machine.host import Host
    from qmpemu.machine.machine import Disk, Machine
    from qmpemu.machine.migration.state import Origin

NO_GUEST = "none"
"""`guests.registry.NONE`, which is not imported at the start."""
SHIPPED_FIRMWARE = (None, "bios.bin", "bios-256k.bin")
"""-bios: what is emulated. No other file's instructions are executed, so that without a guest nothing runs."""


class GuestLoaded(Fact):
    """A guest begins to boot. settings: those that differ from its preset, NAME=VALUE."""

    guest: str
    settings: tuple[str, ...]
    seed: str


class DiskKeptInMemory(Fact):
    """The guest has no disk image to keep its state beside: with the process it is forgotten."""


class Loading:
    """Loads a guest at each boot of `machine`."""

    def __init__(self, machine: Machine, host: Host, clock: Clock) -> None:
        self.guest: Guest | None = None
        """What runs on the machine now, or ran last."""
        self.participants: Sequence[Participant] = ()
        """Who takes part beside what the preset brings."""
        self._machine = machine
        self._config = machine.config
        self._facts = machine.facts
        self._host = host
        self._clock = clock
        self._true_base_ns: int | None = None
        self._costs: Traffic | None = None
        self._ran = False
        """Whether the machine's RAM holds a copy of firmware that has run, where nothing boots."""

    def load(self, boot: Lifetime) -> Guest | None:
        """What runs until `boot` ends; None where the machine has nothing that would. Raises Refused."""
        machine = self._machine
        acpi, history = machine.acpi, machine.history
        name = self._config.guest if history.again is None else history.again.guest
        if acpi is None or (name == NO_GUEST and self._config.firmware not in SHIPPED_FIRMWARE):
            return None
        machine.plugging.pci.firmware_runs()
        if name == NO_GUEST:
            return self._load_firmware(acpi, boot)
        from random import Random

        from qmpemu.guests import registry as guests

        disk = self._disk()
        origin = self._begin(boot)
        history.rng = Random(f"{origin.seed}/{origin.name}")
        platform = self._platform(acpi, boot, origin, disk, history.rng)
        if machine.blocks.drives and self._costs is None:
            self._costs = guests.traffic()
            self._facts.subscribe(self._count)
        given = tuple(f"{key}={value}" for key, value in origin.settings.items())
        self._facts.publish(GuestLoaded(guest=origin.guest, settings=given, seed=origin.seed))
        try:
            self.guest = guests.load(origin.guest, origin.settings, platform, self.participants)
        except guests.GuestError as error:
            if not history.replaying:
                raise
            raise Refused(f"the guest cannot be loaded here: {error}") from None
        return self.guest

    def _disk(self) -> Disk:
        """The guest's disk, which for a guest that travels is as it was there. Raises Refused."""
        from qmpemu.guests.guest import MemoryStore, Travelled

        machine, history = self._machine, self._machine.history
        if machine.disk is None:
            machine.disk = MemoryStore()
            self._facts.publish(DiskKeptInMemory())
        origin = history.again
        if origin is not None:
            if origin.participants != self._taking_part():
                raise Refused(
                    "the guest travels with participants that are not installed here, or lacks some that are"
                )
            machine.disk = Travelled(origin.disk, machine.disk, lambda: not history.replaying)
        return machine.disk

    def _begin(self, boot: Lifetime) -> Origin:
        """Where the history of this boot begins: where it did elsewhere, or here and now."""
        from qmpemu.machine.inputs import note_standing

        history = self._machine.history
        history.origin = history.again
        if history.origin is None:
            history.origin = self._origin(boot.now_ns)
            note_standing(self._machine)
        return history.origin

    def _platform(
        self, acpi: FixedHardware, boot: Lifetime, origin: Origin, disk: Disk, rng: Random
    ) -> Platform:
        from qmpemu.guests.guest import Platform

        machine = self._machine
        return Platform(
            acpi,
            boot,
            self._facts,
            rng,
            machine.ports,
            origin.rtc_base_ns,
            disk,
            machine.set_alarm,
            self._hardware,
            machine.plugging.hotplug,
            machine.plugging.balloon,
            machine.plugging.os_started,
            self._set_rtc,
            lambda: machine.clock.now_ns + int(machine.history.answered("time", self._ahead)),
            machine.console,
            machine.plugging.watchdog,
            self._guest_died,
            machine.plugging.virtio_memory.shared,
        )

    def _load_firmware(self, acpi: FixedHardware, boot: Lifetime) -> Guest:
        """The firmware, where nothing boots."""
        from qmpemu.guests.firmware import Firmware

        config = self._config
        self._begin(boot)
        says = config.nographic or config.switches.get("graphics") is False
        again = self._ran and self._machine.history.again is None
        self._ran = not again
        return Firmware(acpi, boot, self._facts, self._machine.console, says=says, again=again)

    def _count(self, fact: Fact) -> None:
        """What the guest does is traffic of its disk."""
        cost = self._costs.get(type(fact)) if self._costs is not None else None
        if cost is not None:
            for kind, count_bytes in cost(fact):
                self._machine.accounting.access(kind, count_bytes)

    def _true_time_ns(self) -> int:
        """The host's time of day, going on at the speed of the machine's clock."""
        if self._true_base_ns is None:
            seconds, _ = self._host.timestamp()
            self._true_base_ns = seconds * NS_PER_S - self._clock.now_ns
        return self._true_base_ns + self._clock.now_ns

    def _ahead(self) -> str:
        """How far the time of day is ahead of the machine's clock, in ns: it changes where the machine stands still."""
        return str(self._true_time_ns() - self._machine.clock.now_ns)

    def _set_rtc(self, time_ns: int) -> None:
        """The guest set the battery-backed clock: it keeps that over resets."""
        from qmpemu.machine.wiring import rtc_set

        if self._machine.history.replaying:  # how far it is ahead came along
            return
        self._machine.rtc_ahead_ns = time_ns - self._true_time_ns()
        self._facts.publish(rtc_set(self._config, self._machine.rtc_ahead_ns // NS_PER_S))

    def _guest_died(self, codes: tuple[int, ...]) -> None:
        """The guest's kernel is dead: devices for that hear of it."""
        from qmpemu.machine import panic

        panic.tell(self._machine, codes)

    def _hardware(self) -> Hardware:
        from qmpemu.machine.inventory import hardware
        from qmpemu.machine.migration.hardware import data_of, hardware_of

        history = self._machine.history
        if history.replaying:
            return hardware_of(history.answered("hardware", str))
        found = hardware(self._machine)
        history.answered("hardware", lambda: data_of(found))
        return found

    def _origin(self, now_ns: int) -> Origin:
        """What the guest is loaded with here and now: all that decides how this boot goes, but its inputs."""
        from qmpemu.guests import registry as guests
        from qmpemu.machine.migration.state import Origin

        disk = self._machine.disk
        return Origin(
            guest=self._config.guest or guests.DEFAULT,
            settings=dict(self._config.settings),
            seed=self._config.seed,
            name=self._config.name,
            participants=self._taking_part(),
            # so that Windows' clock shows the host's, ahead by what a guest has set
            rtc_base_ns=self._true_time_ns() + self._machine.rtc_ahead_ns - now_ns,
            disk=disk.load() if disk is not None else None,
            ports=tuple(self._machine.ports),
        )

    def _taking_part(self) -> tuple[str, ...]:
        return tuple(sorted(f"{type(each).__name__} {each.name}" for each in self.participants))
