"""What is installed: the edition, and the applications, services and drivers of a fresh Windows.

Names are Windows' own; how long each takes to stop is a plain assumption (U), small as on an idle machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from msgspec import Struct, structs

from qmpemu.guests.windows.participants import (
    END_SESSION,
    IRP_SHUTDOWN,
    PRESHUTDOWN,
    SHUTDOWN,
    Application,
    Driver,
    Participant,
    Response,
    Service,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

P = TypeVar("P", bound=Participant)


class Edition(Struct, frozen=True):
    """A Windows product. version as in "Server 2022" or "11"."""

    product: str
    version: str
    build: int
    kind: Literal["client", "server"]


class Installation(Struct, frozen=True, kw_only=True):
    """One installed Windows: everything that takes part in its shutdown. infections: what damages it (`faults`)."""

    edition: Edition
    applications: tuple[Application, ...] = ()
    services: tuple[Service, ...] = ()
    drivers: tuple[Driver, ...] = ()
    infections: tuple[str, ...] = ()

    def joined(self, participants: Iterable[Participant]) -> Installation:
        """The same with more that takes part; one of a name that is there replaces it."""
        added = tuple(participants)
        return structs.replace(
            self,
            applications=_joined(self.applications, [p for p in added if isinstance(p, Application)]),
            services=_joined(self.services, [p for p in added if isinstance(p, Service)]),
            drivers=_joined(self.drivers, [p for p in added if isinstance(p, Driver)]),
        )


def _joined(before: tuple[P, ...], added: list[P]) -> tuple[P, ...]:
    news = {participant.name.casefold(): participant for participant in added}
    kept = [news.pop(participant.name.casefold(), participant) for participant in before]
    return (*kept, *news.values())


CORE = (
    "BrokerInfrastructure CoreMessagingRegistrar CryptSvc DcomLaunch EventLog LSM PlugPlay Power ProfSvc RpcEptMapper "
    "RpcSs SamSs"
)
"""Services that end last."""

COMMON = (
    "Appinfo AudioEndpointBuilder Audiosrv BFE BITS CDPSvc CertPropSvc Dhcp DiagTrack Dnscache DPS "
    "FontCache IKEEXT iphlpsvc KeyIso LanmanServer LanmanWorkstation lmhosts mpssvc NcbService netprofm NlaSvc nsi "
    "PolicyAgent Schedule SENS SessionEnv ShellHWDetection Spooler StateRepository StorSvc SysMain SystemEventsBroker "
    "TermService Themes TimeBrokerSvc TokenBroker UmRdpService UserManager W32Time Wcmsvc WdiServiceHost "
    "WdiSystemHost WinDefend WinHttpAutoProxySvc Winmgmt WpnService"
)
PRESHUTDOWN_SERVICES = "DeviceInstall gpsvc TrustedInstaller UsoSvc wuauserv"
SERVER_ONLY = "MSDTC RemoteRegistry SstpSvc UALSVC WinRM"
CLIENT_ONLY = "DoSvc SecurityHealthService WSearch wscsvc"

QUICK = {SHUTDOWN: Response(after_ms=40), PRESHUTDOWN: Response(after_ms=120)}
SLOW = {SHUTDOWN: Response(after_ms=350)}
SLOWER_ONES = frozenset({"Spooler", "WinDefend", "Winmgmt", "WSearch", "SysMain", "MSDTC"})


def services(kind: str) -> tuple[Service, ...]:
    """The services of a fresh client or server in database order."""
    core, preshutdown = set(CORE.split()), set(PRESHUTDOWN_SERVICES.split())
    own = SERVER_ONLY if kind == "server" else CLIENT_ONLY
    names = sorted({*core, *preshutdown, *COMMON.split(), *own.split()}, key=str.casefold)
    return tuple(
        Service(
            name=name,
            core=name in core,
            preshutdown=name in preshutdown,
            responses=SLOW if name in SLOWER_ONES else QUICK,
        )
        for name in names
    )


def _application(name: str, *, level: int, window: bool = True, end_ms: int = 60) -> Application:
    return Application(
        name=name, level=level, window=window, responses={END_SESSION: Response(after_ms=end_ms)}
    )


SHELL = (
    _application("sihost.exe", level=0x280, window=False),
    _application("taskhostw.exe", level=0x280, window=False),
    _application("ctfmon.exe", level=0x280, window=False),
    _application("RuntimeBroker.exe", level=0x280, window=False),
    _application("explorer.exe", level=2, end_ms=150),
)
"""Explorer's level is documented (facts 6: 2), the others use the default."""

CLIENT_APPLICATIONS = (
    *SHELL,
    _application("SecurityHealthSystray.exe", level=0x280),
    _application("OneDrive.exe", level=0x280, end_ms=200),
    _application("msedge.exe", level=0x280, end_ms=250),
)
SERVER_APPLICATIONS = (*SHELL, _application("ServerManager.exe", level=0x280, end_ms=250))

DRIVERS = tuple(
    Driver(name=name, responses={IRP_SHUTDOWN: Response(after_ms=20)})
    for name in ("volsnap.sys", "fltmgr.sys", "disk.sys", "storport.sys")
)


def fresh(edition: Edition) -> Installation:
    """A freshly installed Windows of that edition."""
    applications = SERVER_APPLICATIONS if edition.kind == "server" else CLIENT_APPLICATIONS
    return Installation(
        edition=edition, applications=applications, services=services(edition.kind), drivers=DRIVERS
    )
