"""The simulated Windows as its hardware sees it: power on, interrupts, NMI, wake-up, power lost.

    power_on ──> boot (activity) ──> interrupt ──> power policy ──> the one door ──> registers

Each part has a file of its own beside this one; this one wires them, and boots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS, NS_PER_S
from qmpemu.core.facts import Fact
from qmpemu.guests.windows import system as life
from qmpemu.guests.windows.accounts import Accounts
from qmpemu.guests.windows.disk import Disk
from qmpemu.guests.windows.display import Display
from qmpemu.guests.windows.eventlog import KERNEL_GENERAL, EventLog
from qmpemu.guests.windows.files import FileStore
from qmpemu.guests.windows.initiated import Initiated
from qmpemu.guests.windows.network import Network
from qmpemu.guests.windows.ospm import Ospm
from qmpemu.guests.windows.participants import guarded
from qmpemu.guests.windows.plug_and_play import PlugAndPlay
from qmpemu.guests.windows.power import PowerPolicy
from qmpemu.guests.windows.recovery import Recovery
from qmpemu.guests.windows.screen_input import ConsoleUser
from qmpemu.guests.windows.serial import SerialConsole
from qmpemu.guests.windows.services import ServiceManager
from qmpemu.guests.windows.session import SessionManager
from qmpemu.guests.windows.shutdown import Shutdown
from qmpemu.guests.windows.storage import Storage
from qmpemu.guests.windows.system import System
from qmpemu.guests.windows.tracker import Tracker
from qmpemu.guests.windows.update import Update
from qmpemu.guests.windows.volume import Volume
from qmpemu.guests.windows.vss import Snapshots
from qmpemu.guests.windows.watchdog import WatchdogDriver

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.agent.session import AgentSession
    from qmpemu.guests.guest import Platform
    from qmpemu.guests.windows.disk import DiskState
    from qmpemu.guests.windows.installation import Installation
    from qmpemu.guests.windows.participants import Service
    from qmpemu.guests.windows.settings import Settings

AGENT_SERVICE = "QEMU-GA"
NMI_HARDWARE_FAILURE = 0x80
"""The bugcheck of an NMI nobody claims (Microsoft: Bug Check 0x80)."""


class BootCompleted(Fact):
    """Windows has started. logged_on: users with a session, or "nobody"."""

    logged_on: str


class FirmwareNotAcpi(Fact):
    """The firmware has no ACPI tables (`acpi=off`): the loader shows an error and goes no further (U)."""


class NmiIgnored(Fact):
    """An NMI arrived where nothing handles it."""

    phase: str


class Bugchecked(Fact):
    """Windows stopped with a crash screen."""

    code: int
    bugcheck: str
    phase: str


class Hung(Fact):
    """Windows stands still, without a crash screen; only an NMI is heard."""

    phase: str


class DumpWritten(Fact):
    """The crash screen has written the memory dump. restarts: AutoReboot."""

    restarts: bool


class HibernationEnded(Fact):
    """Memory was read back from hiberfil.sys. kind: hibernated, or fast startup."""

    kind: str


class TimeSet(Fact):
    """Somebody set Windows' clock. by_ms: how far, forward or back."""

    by_ms: int


class PowerLost(Fact):
    """Windows lost power where it stood.

    documents: unsaved ones; services: those that were stopping; update: one that is half-way, or nothing; volumes:
    those whose dirty flag stays set.
    """

    phase: str
    documents: tuple[str, ...]
    services: tuple[str, ...]
    update: str
    volumes: tuple[str, ...]


class Windows:
    """One boot of one installed Windows on one machine (`guests.guest.Guest`)."""

    def __init__(self, platform: Platform, settings: Settings, installation: Installation) -> None:
        self.system = System(platform, settings)
        self.installation = installation
        self.ospm = Ospm(platform.acpi)
        self.log = EventLog(self.system)
        self.disk = Disk(platform.store)
        self.volume = Volume(self.system, "C:", self.disk)
        self.files = FileStore(self.disk)
        self.network = Network(self.system)
        self.storage = Storage(self.system, self.files)
        self.snapshots = Snapshots(self)
        self.update = Update(self.system, self.disk)
        self.recovery = Recovery(self)
        self.display = Display(self.system)
        self.sessions = SessionManager(self.system, guarded(installation.applications, platform.facts))
        self.accounts = Accounts(self)
        self.agent: AgentSession | None = None
        """The guest agent, where it is installed."""
        self.infections: list[str] = []
        self.services = ServiceManager(
            self.system,
            self.log,
            guarded((*installation.services, *self._agent_service()), platform.facts),
            stopped=(AGENT_SERVICE,) if self.system.settings.QEMU_GA == "stopped" else (),
        )
        self.power = PowerPolicy(self)
        self.shutdown = Shutdown(self, guarded(installation.drivers, platform.facts))
        self.initiated = Initiated(self)
        self.tracker = Tracker(self)
        self.plug_and_play = PlugAndPlay(self)
        self.watchdog = WatchdogDriver(self.system)
        self.crash: tuple[str, int] | None = None
        """Name of the bugcheck that is shown, and since when, in ns of machine time."""
        platform.console.attach(ConsoleUser(self))
        self.serial = SerialConsole(self)

    # --- what the hardware does to it -------------------------------------------------------------------------

    def power_on(self) -> None:
        """The processor leaves reset: firmware starts."""
        self.system.activities.start(self._boot())

    def interrupt(self) -> None:
        """The SCI line is high: acknowledge, and let the power policy decide about a button press."""
        if self.system.phase in life.DEAF or not self.ospm.acknowledge():
            return
        if not self.system.hooks.swallows_button():
            self.power.press()

    def nmi(self) -> None:
        """A non-maskable interrupt arrived: without a kernel nothing happens, with one it is a bugcheck."""
        if not self.system.allows("bugcheck"):
            self.system.facts.publish(NmiIgnored(phase=self.system.phase))
            return
        self.bugcheck(NMI_HARDWARE_FAILURE, "NMI_HARDWARE_FAILURE")

    def bugcheck(self, code: int, name: str) -> None:
        """Stop with a crash screen; nothing that runs goes on."""
        phase = self.system.phase
        self.system.activities.end_all()
        if self.agent is not None:
            self.agent.freeze()
        self.system.facts.chain(Bugchecked(code=code, bugcheck=name, phase=phase))
        self.system.move("bugcheck")
        self.crash = name, self.system.platform.clock.now_ns
        self.serial.bugchecked(code, name)
        self.system.activities.start(self._crash(code))
        self.system.platform.panic((code, 0, 0, 0, 0))

    def hang(self) -> None:
        """A processor spins at high IRQL: no interrupt, no program goes on; what is on the screen stays there."""
        self.system.activities.end_all()
        if self.agent is not None:
            self.agent.freeze()
        self.system.facts.chain(Hung(phase=self.system.phase))
        self.system.move("hang")

    def resume(self) -> None:
        """The machine left S3."""
        self.system.activities.start(self.power.wake())

    def power_lost(self) -> None:
        """Reset or power cut: say what was volatile and is gone."""
        self.system.platform.console.detach()
        if self.agent is not None:
            self.agent.freeze()  # its port is closed by the reset of the device, if there is one
        if self.system.phase in life.DEAD:
            return
        volumes = (self.volume.name,) if self.volume.dirty else ()
        self.system.facts.chain(
            PowerLost(
                phase=self.system.phase,
                documents=(*self.sessions.unsaved(), *self.recovery.unread()),
                services=self.services.stopping,
                update=self.update.half_applied,
                volumes=volumes,
            )
        )

    # --- what programs inside it do ---------------------------------------------------------------------------

    def request_shutdown(
        self,
        door: str,
        goal: str,
        *,
        force: bool = False,
        reason: int | None = None,
        comment: str = "",
        announced: bool = False,
        hybrid: bool = False,
    ) -> int:
        """The one door (`shutdown.Shutdown.request`): the Windows error code, 0 when accepted."""
        return self.shutdown.request(
            door, goal, force=force, reason=reason, comment=comment, announced=announced, hybrid=hybrid
        )

    def set_time(self, time_ns: int) -> None:
        """Set the clock, the battery-backed one with it; the event log shows it (Kernel-General 1)."""
        system = self.system
        by_ns = time_ns - system.now_ns
        system.set_time(time_ns)
        system.facts.publish(TimeSet(by_ms=by_ns // NS_PER_MS))
        self.log.write(1, "The system time has changed.", {"NewTime": time_ns // NS_PER_S}, KERNEL_GENERAL)

    def infect(self, kind: str) -> None:
        """Something damages this Windows from now on (C7, `faults`). Raises GuestError."""
        from qmpemu.guests.windows.faults import registry as faults

        faults.attach(self, kind)
        self.infections.append(kind)
        self.disk.change(infections=tuple(self.infections))

    # --- how it lives -----------------------------------------------------------------------------------------

    def _boot(self) -> Steps[None]:
        system, settings = self.system, self.system.settings
        system.move("power good")
        system.platform.acpi.program_pm_base()
        self.serial.firmware()
        yield system.boot_ns(settings.boot_firmware_ms)
        system.move("self test done")
        self.serial.loader()
        yield system.boot_ns(settings.boot_loader_ms)
        if not system.platform.acpi.described:
            system.facts.chain(FirmwareNotAcpi())
            return
        found = self.disk.state
        yield from self.recovery.loader()
        system.move("kernel loaded")
        yield from self.recovery.kernel()
        self.volume.mount()
        if self.recovery.resumes:
            yield from self._resume_from_disk(found)
            return
        yield from self._start(found)

    def _start(self, found: DiskState) -> Steps[None]:
        """A start from nothing: kernel, services, log-on screen."""
        system, settings = self.system, self.system.settings
        yield system.boot_ns(settings.boot_kernel_ms)
        self._wake_infections(found)
        self.ospm.enable()
        self.plug_and_play.start()
        system.move("OSPM on")
        self.serial.kernel_up()
        self.recovery.log()
        self.services.start_core()
        self.recovery.log_checks()
        yield from self.update.at_boot()
        yield system.boot_ns(settings.boot_services_ms)
        self.services.start_others()
        if not found.boots and settings.pending_update != "none":
            self.update.stage(settings.pending_update)
        system.move("log-on screen up")
        self.disk.change(failed_boots=0)
        self.display.touch("log-on screen")
        if settings.AutoAdminLogon:
            yield system.boot_ns(settings.logon_ms)
            self.sessions.log_on(settings.DefaultUserName)
        system.facts.chain(BootCompleted(logged_on=", ".join(self.sessions.users()) or "nobody"))
        self.shutdown.booted.open()
        self.serial.booted()

    def _resume_from_disk(self, found: DiskState) -> Steps[None]:
        """hiberfil.sys is read: everything is as it was; after fast startup that is the kernel and services only."""
        system = self.system
        yield system.boot_ns(system.settings.resume_ms)
        self._wake_infections(found)
        self.ospm.enable()
        self.plug_and_play.start()
        system.move("OSPM on")
        self.serial.kernel_up()
        self.services.resume(found.failed_services)
        system.move("log-on screen up")
        self.disk.change(failed_boots=0)
        for user, held in found.sessions.items():
            self.sessions.restore(user, held)
        self.disk.change(sessions={})
        system.facts.chain(HibernationEnded(kind=found.hiberfile))
        self.log.write(107, "The system has resumed from sleep.")
        self.display.touch("resume")
        if self.sessions.active is not None:
            self.display.console_locked(self.sessions.active.locked)
        self.shutdown.booted.open()
        self.serial.booted()

    def _wake_infections(self, found: DiskState) -> None:
        """What damages this Windows comes up with its kernel, before OSPM has the power button (C7)."""
        for kind in dict.fromkeys((*self.installation.infections, *found.infections)):
            self.infect(kind)

    def _crash(self, code: int) -> Steps[None]:
        settings = self.system.settings
        self.disk.change(running=True, bugcheck=code)
        yield settings.crash_dump_ms * NS_PER_MS
        self.system.facts.chain(DumpWritten(restarts=bool(settings.AutoReboot)))
        if settings.AutoReboot:
            self.ospm.reset()

    def _agent_service(self) -> tuple[Service, ...]:
        """The guest agent, where it is installed."""
        if self.system.settings.QEMU_GA == "absent":
            return ()
        from qmpemu.guests.windows.agent_host import AgentService

        agent = AgentService(self, self.system.platform.ports)
        self.agent = agent.session
        return (agent.service(),)
