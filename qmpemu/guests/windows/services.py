"""The service control manager: how services start, and in which order and time they are stopped.

    PRESHUTDOWN  to those of PreshutdownOrder, one after the other; then to the rest that asked for it, together
    SHUTDOWN     to all others in database order, then one wait of at most WaitToKillServiceTimeout for all of them
    core         the last services, the event log among them (event 6006)

A service that does not stop in time delays the shutdown by exactly its time-out; then Windows goes on without it
(event 7043 after a preshutdown). Facts: windows-acpi 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.clock import NS_PER_MS
from qmpemu.core.facts import Fact
from qmpemu.guests.windows import winerror
from qmpemu.guests.windows.participants import PRESHUTDOWN, SHUTDOWN, START, Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmpemu.guests.activity import Steps
    from qmpemu.guests.windows.eventlog import EventLog
    from qmpemu.guests.windows.system import System

EVENT_LOG = "EventLog"
"""The service whose start and stop are events 6005 and 6006."""


class ServicesStarted(Fact):
    """The service control manager has started every automatic service."""

    services: int


class ServicesNotified(Fact):
    """The service control manager sent a control to running services. limit_ms: how long it waits for them."""

    control: str
    services: int
    limit_ms: int


class PreshutdownSent(Fact):
    """A service got SERVICE_CONTROL_PRESHUTDOWN; the shutdown waits for it alone."""

    service: str
    limit_ms: int


class ServiceStarted(Fact):
    """A service was started by itself."""

    service: str


class ServiceStopped(Fact):
    """A service stopped."""

    service: str
    took_ms: int


class ServiceTimedOut(Fact):
    """A service did not stop in time; the shutdown goes on without it."""

    service: str
    control: str
    setting: str
    waited_ms: int


class ServiceFailed(Fact):
    """A service ended with an error while nobody had told it to stop."""

    service: str


class CoreServicesStopped(Fact):
    """The core services have stopped, the event log among them."""

    services: int


class ServiceManager:
    """The service control manager of one booted Windows."""

    __slots__ = ("_installed", "_log", "_manual", "_stopping", "_system", "failed", "running")

    def __init__(
        self,
        system: System,
        log: EventLog,
        installed: Iterable[Service],
        stopped: Iterable[str] = (),
    ) -> None:
        """Installed: all services; stopped: the names of those that are not started at boot."""
        self._system = system
        self._log = log
        self._installed = tuple(installed)
        self._manual = {name.casefold() for name in stopped}
        self.running: dict[str, Service] = {}
        """Running services by name, in database order."""
        self.failed: list[str] = []
        """Services that ended with an error since Windows started."""
        self._stopping: dict[str, Service] = {}

    @property
    def stopping(self) -> tuple[str, ...]:
        """Services that were told to stop and have not."""
        return tuple(self._stopping)

    def start_core(self) -> None:
        """Start the core services; the event log begins."""
        self._start(service for service in self._installed if service.core)
        self._log.write(6005, "The Event log service was started.")

    def start_others(self) -> None:
        """Start everything else."""
        started = [each for each in self._installed if each.name.casefold() not in self._manual]
        self._start(service for service in started if not service.core)
        self.running = {service.name: service for service in started}
        self._system.facts.chain(ServicesStarted(services=len(self.running)))

    def resume(self, failed: Iterable[str]) -> None:
        """Everything runs again as it did: memory came back. failed: what had ended with an error."""
        self.failed = list(failed)
        stays = {*(name.casefold() for name in self.failed), *self._manual}
        runs = [service for service in self._installed if service.name.casefold() not in stays]
        for service in runs:
            service.response(START)
        self.running = {service.name: service for service in runs}

    def state(self, name: str) -> str:
        """`RUNNING` or `STOPPED`; empty if there is no such service."""
        key = name.casefold()
        if any(each.casefold() == key for each in self.running):
            return "RUNNING"
        known = {*(each.name.casefold() for each in self._installed), *map(str.casefold, self.failed)}
        return "STOPPED" if key in known else ""

    def start_one(self, name: str) -> int:
        """Start an installed service; the Windows error code."""
        if self.state(name) != "STOPPED":
            running = self.state(name) == "RUNNING"
            return winerror.SERVICE_ALREADY_RUNNING if running else winerror.SERVICE_DOES_NOT_EXIST
        key = name.casefold()
        service = next((each for each in self._installed if each.name.casefold() == key), Service(name=name))
        self._start([service])
        self._system.facts.chain(ServiceStarted(service=service.name))
        return winerror.SUCCESS

    def stop_one(self, name: str) -> int:
        """Stop a running service; the Windows error code. One that hangs stays."""
        if self.state(name) != "RUNNING":
            stopped = self.state(name) == "STOPPED"
            return winerror.SERVICE_NOT_ACTIVE if stopped else winerror.SERVICE_DOES_NOT_EXIST
        service = self.service(name)
        if service.response(SHUTDOWN).answer == "hang":
            return winerror.SERVICE_REQUEST_TIMEOUT
        del self.running[service.name]
        self._system.facts.chain(ServiceStopped(service=service.name, took_ms=0))
        return winerror.SUCCESS

    def service(self, name: str) -> Service:
        """The running service `name`, in any spelling; one that is not installed is, and is started."""
        key = name.casefold()
        for service in self.running.values():
            if service.name.casefold() == key:
                return service
        service = Service(name=name)
        self._start([service])
        return service

    def fail(self, name: str) -> None:
        """A service ends with an error: Windows notes it, and the shutdown event tracker may ask about it."""
        service = self.service(name)
        del self.running[service.name]
        self.failed.append(service.name)
        self._system.facts.chain(ServiceFailed(service=service.name))
        text = f"The {service.name} service terminated unexpectedly.  It has done this 1 time(s)."
        self._log.write(7034, text, {"param1": service.name, "param2": 1})

    def stop_all(self) -> Steps[None]:
        """Stop everything, in Windows' three phases."""
        yield from self._preshutdown()
        others = [s for s in self.running.values() if not s.core and not s.preshutdown]
        limit_ms = self._system.settings.WaitToKillServiceTimeout
        yield from self._stop(
            SHUTDOWN, others, {s.name: limit_ms for s in others}, "WaitToKillServiceTimeout"
        )
        yield from self._stop_core()

    def _start(self, services: Iterable[Service]) -> None:
        for service in services:
            service.response(START)
            self.running[service.name] = service

    def _preshutdown(self) -> Steps[None]:
        waiting = {s.name: s for s in self.running.values() if s.preshutdown}
        by_key = {name.casefold(): name for name in waiting}
        for name in self._system.settings.PreshutdownOrder.split(";"):
            service = waiting.pop(by_key.get(name.strip().casefold(), ""), None)
            if service is not None:
                limit_ms = self._preshutdown_ms(service)
                self._system.facts.chain(PreshutdownSent(service=service.name, limit_ms=limit_ms))
                yield from self._await(
                    PRESHUTDOWN, [service], {service.name: limit_ms}, "preshutdown_timeout_ms"
                )
        rest = list(waiting.values())
        limits = {service.name: self._preshutdown_ms(service) for service in rest}
        yield from self._stop(PRESHUTDOWN, rest, limits, "preshutdown_timeout_ms")

    def _preshutdown_ms(self, service: Service) -> int:
        own = service.preshutdown_timeout_ms
        return self._system.settings.preshutdown_timeout_ms if own is None else own

    def _stop(
        self, control: str, services: list[Service], limits_ms: dict[str, int], setting: str
    ) -> Steps[None]:
        if services:
            limit_ms = max(limits_ms.values())
            self._system.facts.chain(
                ServicesNotified(control=control, services=len(services), limit_ms=limit_ms)
            )
            yield from self._await(control, services, limits_ms, setting)

    def _await(
        self, control: str, services: list[Service], limits_ms: dict[str, int], setting: str
    ) -> Steps[None]:
        """Wait until each service stopped or its time is over: one event for those that end together."""
        ends: list[tuple[int, bool, Service]] = []
        for service in services:
            response, limit_ms = service.response(control), limits_ms[service.name]
            late = response.answer == "hang" or response.after_ms > limit_ms
            ends.append((limit_ms if late else response.after_ms, late, service))
        ends.sort(key=lambda end: end[0])  # stable: database order among equals
        self._stopping = {service.name: service for service in services}
        passed_ms = 0
        for after_ms, late, service in ends:
            if after_ms > passed_ms:
                yield (after_ms - passed_ms) * NS_PER_MS
                passed_ms = after_ms
            self._ended(service, control, setting, after_ms, late=late)

    def _ended(self, service: Service, control: str, setting: str, after_ms: int, *, late: bool) -> None:
        name, facts = service.name, self._system.facts
        if not late:
            del self.running[name]
            self._stopping.pop(name)
            facts.chain(ServiceStopped(service=name, took_ms=after_ms))
            return
        facts.chain(ServiceTimedOut(service=name, control=control, setting=setting, waited_ms=after_ms))
        if control == PRESHUTDOWN:
            text = f"The {name} service did not shut down properly after receiving a preshutdown control."
            self._log.write(7043, text, {"param1": name})

    def _stop_core(self) -> Steps[None]:
        core = {service.name: service for service in self.running.values() if service.core}
        limit_ms = self._system.settings.WaitToKillServiceTimeout
        asked = [(name, service.response(SHUTDOWN)) for name, service in core.items()]
        late = [name for name, r in asked if r.answer == "hang" or r.after_ms > limit_ms]
        wait_ms = limit_ms if late else max((r.after_ms for _, r in asked), default=0)
        if wait_ms:
            yield wait_ms * NS_PER_MS
        for name in late:
            self._ended(core[name], SHUTDOWN, "WaitToKillServiceTimeout", limit_ms, late=True)
        for name in core:
            del self.running[name]
        if EVENT_LOG in core:
            self._log.write(6006, "The Event log service was stopped.")
        self._system.facts.chain(CoreServicesStopped(services=len(core)))
