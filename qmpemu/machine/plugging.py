"""Plugging devices in and taking them out: what the start and device_add have in common, and the guest's say.

start, device_add ──> devices.add ──> drive, network, port, balloon ──> guest is told (PCI, CPU, DIMM)
device_del ──> bus lets it go ─────────────────────────────────────────> gone
          └──> guest is asked ──ejects, or the machine is reset (PCI)──> gone
"""

from __future__ import annotations

from qmpemu.balloon import Balloon
from qmpemu.core.facts import Fact
from qmpemu.core.table import Refused
from qmpemu.hotplug import Hotplug, Notice
from qmpemu.machine import inputs
from qmpemu.machine.assembly import board_buses, next_unattached
from qmpemu.machine.devices.backends import Backends
from qmpemu.machine.devices.balloon_stats import BalloonStats
from qmpemu.machine.devices.catalog import CPU_SUFFIX, Catalog
from qmpemu.machine.devices.in_tree import InTree
from qmpemu.machine.devices.memory import DRIVERS as DIMMS
from qmpemu.machine.devices.netfilter import Filters
from qmpemu.machine.devices.ports import PortDevices
from qmpemu.machine.devices.table import (
    Device,
    DeviceAdded,
    DeviceRemoved,
    Devices,
    DeviceUnplugRefused,
    DeviceUnplugRequested,
)
from qmpemu.machine.devices.virtio_memory import KIND as VIRTIO_MEM
from qmpemu.machine.devices.virtio_memory import VirtioMemory
from qmpemu.qmp.errors import device_not_found
from qmpemu.watchdog import DRIVERS as WATCHDOGS
from qmpemu.watchdog import Watchdog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.machine.devices.acpi_hotplug import AcpiHotplug
    from qmpemu.machine.devices.pci import PciBuses
    from qmpemu.machine.early_backends import EarlyBackends
    from qmpemu.machine.machine import Machine
    from qmpemu.profile import Profile

SERIAL_DRIVERS = ("isa-serial", "pci-serial")
PORT_DRIVERS = ("virtserialport", "virtconsole")
OST_SLOT_TYPES = {"CPU": "CPU", "DIMM": "DIMM"}
NIC_DRIVERS = tuple(
    "virtio-net e1000 e1000e rtl8139 ne2k_ pcnet vmxnet3 usb-net igb i8255 i8256 tulip".split()
)


class OstReported(Fact):
    """The guest told the firmware what became of a hot-plugged device (QMP event ACPI_DEVICE_OST)."""

    device: str | None
    slot: str
    slot_type: str
    source: int
    status: int


class BalloonChanged(Fact):
    """The guest has inflated or deflated its balloon (QMP event BALLOON_CHANGE)."""

    actual_bytes: int


class Plugging:
    """The devices of one machine, and all that comes and goes with them."""

    def __init__(self, machine: Machine, profile: Profile, early: EarlyBackends) -> None:
        config = machine.config
        self._machine = machine
        self._profile = profile
        self._pci: PciBuses | None = None
        self._acpi: AcpiHotplug | None = None
        self.hotplug = Hotplug()
        self.objects, self.netdevs = early.objects, early.netdevs
        self.balloon = Balloon(config.memory_bytes)
        self.balloon.on_give = self._balloon_gave
        self.balloon_stats = BalloonStats(machine, self.balloon)
        self.virtio_memory = VirtioMemory(machine)
        self.watchdog = Watchdog()
        self.ports = PortDevices(machine)
        self.in_tree = InTree(machine)
        self.filters = Filters(machine.facts)
        self.ost: dict[tuple[str, str], OstReported] = {}
        """Last _OST by slot type and slot."""
        self.devices = Devices(Catalog(profile), lambda: board_buses(machine), Backends(machine))
        self.devices.find_acpi = self._acpi_hotplug
        if not config.is_newest(profile.version):
            from qmpemu.machine.devices.compat import Compat

            self.devices.compat = Compat(profile, config.machine)
        self.devices.held = lambda: machine.migrates and machine.migration.under_way
        self.devices.next_unattached = lambda reserved: next_unattached(machine, reserved)
        self.devices.on_hub = self.plugged
        slots = self.devices.processors
        slots.topology, slots.started, slots.model = config.topology, config.cpus, config.cpu
        slots.nodes = config.numa_nodes if config.numa or config.has_node else None
        self.devices.nodes = max(len(config.numa_sizes), int(config.has_node))
        self.devices.memory.nodes = self.devices.nodes
        self.devices.memory.count = config.memory_slots
        self.devices.memory.has_acpi = config.has_acpi
        if config.memory_slots and config.family != "none":
            from qmpemu.machine.wiring import ram_split

            self.devices.memory.high_bytes = ram_split(config)[1]
        self.devices.memory.most_bytes = max(0, config.memory_most_bytes - config.memory_bytes)

    @property
    def pci(self) -> PciBuses:
        """The PCI buses, looked at since firmware ran or somebody asked."""
        if self._pci is None:
            from qmpemu.machine.devices.pci import PciBuses

            self._pci = PciBuses(self._machine, self._profile)
        return self._pci

    def _acpi_hotplug(self) -> AcpiHotplug:
        if self._acpi is None:
            from qmpemu.machine.devices.acpi_hotplug import AcpiHotplug

            self._acpi = AcpiHotplug(self._machine.config, self.devices.compat)
        return self._acpi

    # --- objects --------------------------------------------------------------------------------------------

    def add_object(self, given: dict[str, object]) -> None:
        """object-add, and what the object takes of the host's. Raises Refused or QmpError."""
        chardev = None
        if given["qom-type"] == "rng-egd":
            chardev = self._machine.chardevs.get(str(given.get("chardev")))
            if chardev is None:
                raise device_not_found(str(given.get("chardev")))
            if chardev.taken:
                raise Refused(f"Device '{chardev.label}' is in use")
        from qmpemu.machine.devices.object_rules import check_names

        check_names(given, self._machine.chardevs, self.netdevs.all, self.objects.all)
        self.objects.add(given)
        if chardev is not None:
            chardev.taken = chardev.frontend_open = True

    def remove_object(self, name: str) -> None:
        """object-del. Raises Refused."""
        made = self.objects.all.get(name)
        if made is not None:
            self._machine.note_removal()
        self.objects.remove(name)
        if made is not None and made.kind == "rng-egd":
            self._machine.chardevs[str(made.given["chardev"])].release()

    # --- at run time --------------------------------------------------------------------------------------------

    def add(self, given: dict[str, object]) -> Device:
        """device_add. Raises Refused or QmpError."""
        machine = self._machine
        device = self.devices.add(given, running=True)
        self.plugged(device)
        machine.facts.publish(DeviceAdded(id=device.id, driver=device.kind))
        kind = self._kind_of_notice(device)
        if kind is not None and machine.acpi is not None:
            self._notify(self._notice(device, kind, leaving=False))
        return device

    def remove(self, id_or_path: str) -> None:
        """device_del: at once where the bus lets go, else the guest is asked. Raises Refused or QmpError."""
        from qmpemu.machine.devices.acpi_hotplug import is_native

        machine = self._machine
        device = self.devices.at(id_or_path)
        if device is None:
            raise device_not_found(id_or_path)
        now_ns = machine.clock.now_ns
        self.devices.check_removable(device, id_or_path, now_ns)
        kind = self._kind_of_notice(device)
        if kind is None or (device.hotplugged and is_native(device) and not self.pci.knows(device)):
            machine.blocks.leave(device.path)
            machine.call_in_host_time(0, lambda: self._gone(device))
            return
        if kind == "CPU" and not self.devices.processors.by_os:
            raise Refused(f"acpi: device unplug request for not supported device type: {device.kind}")
        device.asked_ns = now_ns
        machine.facts.publish(DeviceUnplugRequested(id=device.id))
        self._notify(self._notice(device, kind, leaving=True))

    def reset(self) -> None:
        """Machine reset: what ACPI was asked to let go leaves its slot now; the guest's drivers are gone."""
        from qmpemu.machine.devices.acpi_hotplug import is_fixed, is_native

        self.hotplug.reset()
        self.devices.processors.by_os = False
        self.filters.reset()
        self.balloon.reset()
        self.virtio_memory.shared.reset()
        self.watchdog.set(None)
        for device in sorted(filter(_is_asked, self.devices.all), key=self._turn_at_reset):
            if is_native(device) or is_fixed(device):  # a port's button was pressed, and that was all
                continue
            if self._kind_of_notice(device) == "PCI":
                self._machine.blocks.leave(device.path)
                self._machine.call_in_host_time(0, lambda device=device: self._gone(device))  # type: ignore[misc]
            device.asked_ns = None

    def _turn_at_reset(self, device: Device) -> tuple[int, int]:
        """A key: the root bus first, then the bus of the newest bridge; on a bus by slot (measured)."""
        bridges, bus = self.devices.all, device.bus
        known = bus is not None and bus.owner in bridges
        turn = -bridges.index(bus.owner) if known else -len(bridges)  # type: ignore[union-attr, arg-type]
        return turn, device.place if isinstance(device.place, int) else 0

    def os_started(self) -> None:
        """An operating system's ACPI driver runs: it can eject processors, and its network drivers use their cards."""
        self.devices.processors.by_os = True
        for device in self.nics():
            self.use_nic(device)

    def use_nic(self, device: Device) -> None:
        """The guest's network driver uses a card."""
        if device.kind.startswith("virtio-net"):
            self.filters.program(device)

    def nics(self) -> list[Device]:
        """Network cards, in order."""
        return [
            each for each in self.devices.all if each.kind.startswith(NIC_DRIVERS) or each.kind == "i82801"
        ]

    def cards(self) -> list[tuple[Device, str, str]]:
        """Each network card with its name among network clients and its hardware address."""
        from qmpemu.machine.inventory import hardware

        macs = [each.mac for each in hardware(self._machine).nics]
        return [(device, name, mac) for (device, name), mac in zip(self._named_cards(), macs, strict=True)]

    def unpaired(self) -> list[str]:
        """What is said at the start of back ends without a card, and of cards without one."""
        if self._machine.config.default_network:
            return []
        alone = [name for device, name in self._named_cards() if "netdev" not in device.values]
        unmade = self._machine.config.unmade_cards
        return [
            *self.netdevs.unpaired(),
            *(f"nic {name} has no peer" for name in alone),
            *(f"requested NIC ({each}) was not created (not supported by this machine?)" for each in unmade),
        ]

    def _named_cards(self) -> Iterator[tuple[Device, str]]:
        unnamed: list[str] = []
        for device in self.nics():
            yield (
                device,
                device.id if device.id is not None else f"{device.kind}.{unnamed.count(device.kind)}",
            )
            if device.id is None:
                unnamed.append(device.kind)

    def _notify(self, notice: Notice) -> None:
        """Tell the guest that a device has come, or is to go."""
        self._machine.history.note("notice", *inputs.of_notice(notice))
        self.hotplug.notify(notice)

    def notice_again(self, kind: str, driver: str, identity: str | None, *, leaving: bool) -> Notice:
        """A notice of a boot that is lived again: what was answered then is done; what was not is answered here."""

        def device() -> Device | None:
            return None if self._machine.history.replaying else self.devices.at(identity or "")

        return Notice(
            kind,
            driver,
            identity,
            leaving=leaving,
            on_eject=lambda: self._gone(found) if (found := device()) is not None else None,
            on_refuse=lambda: self._refused(found, kind) if (found := device()) is not None else None,
            on_report=lambda source, status: (
                self._report(found, kind, source, status) if (found := device()) is not None else None
            ),
            on_start=lambda: self.pci.os_starts(found) if (found := device()) is not None else None,
        )

    # --- the guest's say ----------------------------------------------------------------------------------------

    def _kind_of_notice(self, device: Device) -> str | None:
        """How the guest hears of the device; None where it need not."""
        if device.kind.endswith(CPU_SUFFIX):
            return "CPU"
        if device.kind in DIMMS and device.bus is None:
            return "DIMM"
        return "PCI" if device.bus is not None and device.bus.asks_guest else None

    def _notice(self, device: Device, kind: str, *, leaving: bool) -> Notice:
        return Notice(
            kind,
            device.kind,
            device.id,
            leaving=leaving,
            on_eject=lambda: self._gone(device),
            on_refuse=lambda: self._refused(device, kind),
            on_report=lambda source, status: self._report(device, kind, source, status),
            on_start=lambda: self.pci.os_starts(device),
        )

    def _report(self, device: Device, kind: str, source: int, status: int) -> None:
        if kind not in OST_SLOT_TYPES:
            return
        fact = OstReported(
            device=device.id, slot=str(device.place), slot_type=kind, source=source, status=status
        )
        self.ost[(kind, fact.slot)] = fact
        self._machine.facts.publish(fact)

    def _refused(self, device: Device, kind: str) -> None:
        if kind != "PCI":  # there the hardware has no word for no: a reset still takes the device out
            device.asked_ns = None
            self._machine.facts.publish(DeviceUnplugRefused(id=device.id, path=device.path))

    def _gone(self, device: Device) -> None:
        from qmpemu.machine.devices.acpi_hotplug import is_fixed

        if is_fixed(device):
            return
        machine = self._machine
        machine.unlink(device)
        for identity, path in self.devices.remove(device):
            machine.prune(path)
            machine.facts.publish(DeviceRemoved(id=identity, path=path))
        if machine.blocks.loose:
            machine.store.drop_unused()  # what went with a drive
        self._unplugged(device)

    # --- what comes with a device -------------------------------------------------------------------------------

    def plugged(self, device: Device) -> None:
        """A device is there: what comes with it. Raises Refused."""
        if device.kind.startswith("virtio-balloon"):
            if self.balloon.present:
                self.devices.remove(device)
                raise Refused("Only one balloon device is supported")
            self.balloon.present = True
        if device.kind in WATCHDOGS:
            self._have_watchdog()
        if device.kind == VIRTIO_MEM:
            self.virtio_memory.add(device)
        if device.kind in DIMMS:
            self._count_memory()
        chardev = self._machine.chardevs.get(str(device.values.get("chardev")))
        if device.kind in PORT_DRIVERS:
            self.ports.add(str(device.values.get("name", "")), device.id or "", chardev)
            if chardev is not None:
                chardev.frontend_open = device.kind == "virtconsole"  # which nobody in the guest has to open
        elif chardev is not None:
            listens = not device.kind.startswith("vhost-user-fs")  # that one to no event of its line
            chardev.frontend_open = listens
            if device.kind in SERIAL_DRIVERS and self._machine.console.serial is None:
                inputs.join_serial(self._machine, chardev)
        if chardev is not None:
            chardev.taken = True
        self._machine.graft(device.path, lambda: self.in_tree.object_of(device))
        self._machine.link(device)

    def _count_memory(self) -> None:
        self.balloon.resize(self._machine.config.memory_bytes + self.devices.memory.dimm_bytes)

    def _unplugged(self, device: Device) -> None:
        if device.kind.startswith("virtio-balloon"):
            self.balloon.present = False
            self.balloon_stats.stop()
            self.balloon.give(self.balloon.memory_bytes)
        if device.kind in DIMMS:
            self._count_memory()
        if device.kind in WATCHDOGS and not any(each.kind in WATCHDOGS for each in self.devices.all):
            self.watchdog.set(None)
            self.watchdog.present = False
        chardev = self._machine.chardevs.get(str(device.values.get("chardev")))
        if device.kind in PORT_DRIVERS:
            self.ports.remove(str(device.values.get("name", "")))
        if chardev is not None:
            chardev.release()

    def _have_watchdog(self) -> None:
        if not self.watchdog.present:
            from qmpemu.machine.watchdog import Countdown

            self.watchdog.present = True
            self.watchdog.on_set = Countdown(self._machine).set

    def _balloon_gave(self) -> None:
        self._machine.facts.publish(BalloonChanged(actual_bytes=self.balloon.actual_bytes))


def _is_asked(device: Device) -> bool:
    """Whether the guest was asked to let it go, and did not yet."""
    return device.asked_ns is not None
