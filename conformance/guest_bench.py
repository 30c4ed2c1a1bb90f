"""Part of `make bench`: soft shutdowns of a stock server a second on the virtual clock, all facts recorded.

The server has 20 applications and 80 services. Only the shutdown is timed, from the press to the power-off; booting and
logging on come before. Figures are of one core.
"""

from __future__ import annotations

import statistics
import time

from rich.console import Console

from qmpemu.core.clock import NS_PER_S, Clock
from qmpemu.edge import shipped
from qmpemu.guests.windows.participants import Application, Participant, Service
from qmpemu.machine.config import MachineConfig
from qmpemu.machine.host import Host
from qmpemu.vm import VM

APPLICATIONS, SERVICES = 20, 80
ROUNDS, SHUTDOWNS = 5, 60
TARGET_PER_S = 1_000


def participants(vm_applications: int, vm_services: int) -> tuple[Participant, ...]:
    """What is to be added to a fresh server for the counts above."""
    applications = tuple(Application(name=f"app{n}.exe") for n in range(APPLICATIONS - vm_applications))
    services = tuple(Service(name=f"Svc{n}") for n in range(SERVICES - vm_services))
    return (*applications, *services)


def booted() -> tuple[VM, Clock]:
    """A stock server with somebody logged on, ready to be shut down."""
    config, clock = MachineConfig(), Clock()
    config.machine, config.guest = "pc-q35-7.2", "windows-server-2022"
    config.settings = {"AutoAdminLogon": "1", "VIDEOIDLE": "0"}
    vm = VM(config, shipped.profile(None), Host(), clock)
    vm.participants = participants(*COUNTS)
    vm.power_up()
    clock.run_until(60 * NS_PER_S)
    return vm, clock


def fresh_counts() -> tuple[int, int]:
    """How many applications and services a fresh server has."""
    from qmpemu.guests.windows.installation import fresh
    from qmpemu.guests.windows.presets import WINDOWS_SERVER_2022

    installed = fresh(WINDOWS_SERVER_2022)
    return len(installed.applications), len(installed.services)


COUNTS = fresh_counts()


def main() -> int:
    """Measure and print."""
    shutdowns, events = [], []
    for _ in range(ROUNDS):
        machines = [booted() for _ in range(SHUTDOWNS)]
        before = sum(len(vm.facts.kept) for vm, _ in machines)
        began = time.perf_counter()
        for vm, clock in machines:
            vm.execute("system_powerdown", {})
            clock.run_until(clock.now_ns + 60 * NS_PER_S)
        seconds = time.perf_counter() - began
        assert all(vm.exit_status == 0 for vm, _ in machines), "a shutdown did not complete"
        shutdowns.append(SHUTDOWNS / seconds)
        events.append((sum(len(vm.facts.kept) for vm, _ in machines) - before) / seconds)
    each = statistics.median(shutdowns)
    verdict = "met" if each >= TARGET_PER_S else "missed"
    console = Console(highlight=False)
    console.print(
        f"shutdowns of a stock server ({APPLICATIONS} applications, {SERVICES} services), virtual clock, one core: "
        f"{each:.0f} ({min(shutdowns):.0f}..{max(shutdowns):.0f}) per s, {statistics.median(events):.0f} facts per s; "
        f"target >= {TARGET_PER_S} per s: {verdict}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
