"""The simulated Windows as its hardware sees it: power on, interrupts, NMI, wake-up, power lost.

    power_on ──> boot (activity) ──> interrupt ──> power policy ──> the one door ──> registers

Each part has a file of its own beside this one; this one wires them, and boots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.windows import system as life
from qmpemu.guests.windows.disk import Disk
from qmpemu.guests.windows.display import Display
from qmpemu.guests.windows.eventlog import EventLog
from qmpemu.guests.windows.initiated import Initiated
from qmpemu.guests.windows.ospm import Ospm
from qmpemu.guests.windows.participants import guarded
from qmpemu.guests.windows.power import PowerPolicy
from qmpemu.guests.windows.recovery import Recovery
from qmpemu.guests.windows.services import ServiceManager
from qmpemu.guests.windows.session import SessionManager
from qmpemu.guests.windows.shutdown import Shutdown
from qmpemu.guests.windows.system import System
from qmpemu.guests.windows.tracker import Tracker
from qmpemu.guests.windows.update import Update
from qmpemu.guests.windows.volume import Volume
from qmpemu.port import AGENT_PORT

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.agent import Agent
    from qmpemu.guests.guest import Platform
    from qmpemu.guests.windows.disk import DiskState
    from qmpemu.guests.windows.installation import Installation
    from qmpemu.guests.windows.participants import Service
    from qmpemu.guests.windows.settings import Settings

NMI_HARDWARE_FAILURE = 0x80
"""The bugcheck of an NMI nobody claims (Microsoft: Bug Check 0x80)."""


class BootCompleted(Fact):
    """Windows has started. logged_on: users with a session, or "nobody"."""

    logged_on: str


class NmiIgnored(Fact):
    """An NMI arrived where nothing handles it."""

    phase: str


class Bugchecked(Fact):
    """Windows stopped with a crash screen."""

    code: int
    bugcheck: str
    phase: str


class DumpWritten(Fact):
    """The crash screen has written the memory dump. restarts: AutoReboot."""

    restarts: bool


class HibernationEnded(Fact):
    """Memory was read back from hiberfil.sys. kind: hibernated, or fast startup."""

    kind: str


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
        self.update = Update(self.system, self.disk)
        self.recovery = Recovery(self)
        self.display = Display(self.system)
        self.sessions = SessionManager(self.system, guarded(installation.applications, platform.facts))
        self.agent: Agent | None = None
        self.infections: list[str] = []
        self.services = ServiceManager(
            self.system,
            self.log,
            guarded((*installation.services, *self._agent_service()), platform.facts),
        )
        self.power = PowerPolicy(self)
        self.shutdown = Shutdown(self, guarded(installation.drivers, platform.facts))
        self.initiated = Initiated(self)
        self.tracker = Tracker(self)

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
        self.system.activities.start(self._crash(code))

    def resume(self) -> None:
        """The machine left S3."""
        self.system.activities.start(self.power.wake())

    def power_lost(self) -> None:
        """Reset or power cut: say what was volatile and is gone."""
        if self.agent is not None:
            self.agent.close()
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
        yield system.boot_ns(settings.boot_firmware_ms)
        system.move("self test done")
        yield system.boot_ns(settings.boot_loader_ms)
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
        system.move("OSPM on")
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

    def _resume_from_disk(self, found: DiskState) -> Steps[None]:
        """hiberfil.sys is read: everything is as it was; after fast startup that is the kernel and services only."""
        system = self.system
        yield system.boot_ns(system.settings.resume_ms)
        self._wake_infections(found)
        self.ospm.enable()
        system.move("OSPM on")
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
        """The guest agent, where it is installed, set to run, and the machine has its port."""
        port = self.system.platform.ports.get(AGENT_PORT)
        state = self.system.settings.QEMU_GA
        if port is None or state not in ("running", "hung"):
            return ()
        from qmpemu.guests.agent import Agent
        from qmpemu.guests.windows import agent_host

        self.agent = Agent(port, agent_host.AgentHost(self), self.system.activities)
        return (agent_host.service(self.agent, hung=state == "hung"),)
