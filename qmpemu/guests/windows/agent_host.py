"""The guest agent as a Windows service, and what Windows tells and does for it (`guests.agent.host.Host`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.guests.agent.host import HostError
from qmpemu.guests.agent.session import AgentSession, Manner
from qmpemu.guests.windows import storage
from qmpemu.guests.windows.drivers import devices
from qmpemu.guests.windows.network import interface
from qmpemu.guests.windows.participants import SHUTDOWN, START, Response, Service
from qmpemu.guests.windows.programs.registry import Process, Processes
from qmpemu.guests.windows.shutdown import AGENT, HALT, POWER_OFF, REBOOT
from qmpemu.guests.windows.winerror import TEXTS
from qmpemu.port import AGENT_PORT, Ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qmpemu.core.clock import Timer
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.files import File
    from qmpemu.guests.windows.windows import Windows
    from qmpemu.port import Port

NAME = "QEMU-GA"
"""The service's name."""

PLUG_MS = 1500
"""From a new port to the agent that finds it: an assumption (U); it looks every 5 s."""

GOALS = {"powerdown": POWER_OFF, "halt": HALT, "reboot": REBOOT}
WINDOWS_11_BUILD = 22000


class AgentHost:
    """The agent's view of the Windows it runs in: one object for each topic."""

    __slots__ = ("accounts", "clock", "power", "programs", "storage", "system")

    def __init__(self, windows: Windows) -> None:
        self.power = _Power(windows)
        self.clock = _Clock(windows)
        self.system = _System(windows)
        self.storage = _Storage(windows)
        self.programs = _Programs(windows)
        self.accounts = windows.accounts


class _Topic:
    """One topic's view of Windows."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Windows) -> None:
        self._windows = windows


class _Power(_Topic):
    def shutdown(self, mode: str) -> None:
        """ExitWindowsEx with EWX_FORCE (facts: windows-acpi 11). Raises HostError."""
        code = self._windows.request_shutdown(AGENT, GOALS[mode], force=True)
        if code:
            raise HostError(TEXTS[code])

    def suspend(self, state: str) -> bool:
        """SetSuspendState, in a thread of its own: what Windows does with it, the agent never learns (facts 11)."""
        windows = self._windows
        if not windows.ospm.offers(state):
            return False
        if windows.system.allows("sleep"):
            windows.system.activities.start(windows.power.sleep(state))
        return True


class _Clock(_Topic):
    def now_ns(self) -> int:
        """The time of day, in nanoseconds since 1970."""
        return self._windows.system.now_ns

    def set(self, time_ns: int) -> None:
        """SetSystemTime, which knows milliseconds."""
        self._windows.set_time(time_ns - time_ns % NS_PER_MS)

    def resync(self) -> str:
        """`w32tm /resync`, in the agent's words when it cannot be."""
        if "W32Time" not in self._windows.services.running:
            return "Windows Time service not running on the guest"
        if not self._windows.network.is_online:
            return "No internet connection on guest, sync not accurate"
        self._windows.set_time(self._windows.system.platform.true_time_ns())
        return ""

    def timezone(self) -> tuple[int, str]:
        """Offset from UTC in seconds, and the zone's name: this Windows is set to UTC."""
        return 0, "Coordinated Universal Time"


class _System(_Topic):
    def host_name(self) -> str:
        """The computer name."""
        return self._windows.system.computer

    def processors(self) -> int:
        """Logical processors."""
        return self._windows.system.platform.hardware().processors

    def devices(self) -> list[dict[str, object]]:
        """Devices of QEMU with a driver."""
        return devices(self._windows.system.platform.hardware().pci_ids)

    def interfaces(self) -> list[dict[str, object]]:
        """Network interfaces."""
        return [interface(each) for each in self._windows.network.connections()]

    def os_info(self) -> dict[str, object]:
        """`guest-get-osinfo` as the agent words it on Windows; the registry of Windows 11 calls itself 10."""
        edition = self._windows.installation.edition
        product = edition.product
        if edition.kind == "client" and edition.build >= WINDOWS_11_BUILD:
            product = product.replace("Windows 11", "Windows 10")
        return {
            "id": "mswindows",
            "name": "Microsoft Windows",
            "pretty-name": product,
            "version": f"Microsoft Windows {edition.version}",
            "version-id": edition.version.removeprefix("Server "),
            "variant": edition.kind,
            "variant-id": edition.kind,
            "machine": "x86_64",
            "kernel-release": str(edition.build),
            "kernel-version": "10.0",
        }


class _Storage(_Topic):
    def disks(self) -> list[dict[str, object]]:
        """Hard disks, the last one first, as the agent lists them."""
        return [storage.shown_disk(number, drive) for number, drive in self._windows.storage.disks()][::-1]

    def file_systems(self) -> list[dict[str, object]]:
        """Volumes, the last one first."""
        return [storage.shown_partition(each) for each in self._windows.storage.partitions()][::-1]

    def trim(self) -> list[str]:
        """`defrag.exe /L` on every fixed volume with a letter."""
        partitions = self._windows.storage.partitions()
        return [each.mount_point for each in partitions if each.letter and not each.drive.optical]

    def freeze(self, mount_points: Sequence[str] | None) -> Steps[int]:
        """A VSS snapshot up to the point where writes are held."""
        return self._windows.snapshots.freeze(mount_points)

    def thaw(self) -> int:
        """The rest of that snapshot."""
        return self._windows.snapshots.thaw()


class _Programs(_Topic):
    __slots__ = ("_processes",)

    def __init__(self, windows: Windows) -> None:
        super().__init__(windows)
        self._processes = Processes(windows)

    def open(self, path: str, mode: str) -> File:
        """A file of drive C:. Raises HostError."""
        return self._windows.files.open(path, mode)

    def start(self, path: str, arguments: Sequence[str], env: Mapping[str, str], given: bytes) -> Process:
        """A program. Raises HostError."""
        return self._processes.start(path, arguments, env, given)


class AgentService:
    """The agent's service: how it comes and goes, as the settings say."""

    __slots__ = ("_ports", "_starting", "_windows", "session")

    def __init__(self, windows: Windows, ports: Mapping[str, Port]) -> None:
        settings = windows.system.settings
        manner = Manner(
            settings.agent_answer_ms,
            hung=settings.QEMU_GA == "hung",
            hangs_at=settings.agent_hangs_at,
            dies_at=settings.agent_dies_at,
        )
        self._windows = windows
        self._starting: Timer | None = None
        self._ports = ports
        if isinstance(ports, Ports):
            ports.on_change = self._plugged
        port = ports.get(AGENT_PORT)
        self.session = AgentSession(port, AgentHost(windows), windows.system.activities, manner)
        self.session.on_death = self.died

    def service(self) -> Service:
        """As the service control manager knows it."""
        return Service(name=NAME, respond=self._respond)

    def died(self) -> None:
        """Its process ended by itself: Windows notes it, and starts it again if it is set to."""
        windows = self._windows
        windows.services.fail(NAME)
        again_ms = windows.system.settings.agent_restart_ms
        if again_ms:
            windows.system.activities.after(again_ms * NS_PER_MS, lambda: windows.services.start_one(NAME))

    def _plugged(self, name: str) -> None:
        """A port came or went: the device manager needs a moment with a new one."""
        if name == AGENT_PORT and name in self._ports:
            self._windows.system.activities.after(PLUG_MS * NS_PER_MS, self._use_port)
        elif name == AGENT_PORT:
            self.session.plug(None)

    def _use_port(self) -> None:
        self.session.plug(self._ports.get(AGENT_PORT))

    def _respond(self, point: str) -> Response | None:
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        if point == START:
            delay_ms = self._windows.system.settings.agent_start_ms
            if delay_ms:
                self._starting = self._windows.system.activities.after(
                    delay_ms * NS_PER_MS, self.session.start
                )
            else:
                self.session.start()
        elif point == SHUTDOWN:
            self.session.stop()
        return None
