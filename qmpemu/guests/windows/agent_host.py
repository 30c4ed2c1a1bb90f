"""The guest agent as a Windows service, and what Windows tells and does for it (`guests.agent.Host`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent import Agent
from qmpemu.guests.windows.participants import SHUTDOWN, START, Response, Service
from qmpemu.guests.windows.shutdown import AGENT, HALT, POWER_OFF, REBOOT
from qmpemu.guests.windows.winerror import TEXTS

if TYPE_CHECKING:
    from qmpemu.guests.windows.windows import Windows

SUSPEND_TARGETS = {"S3": "ram", "S4": "disk"}
GOALS = {"powerdown": POWER_OFF, "halt": HALT, "reboot": REBOOT}


class AgentHost:
    """The agent's view of the Windows it runs in."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def shutdown(self, mode: str) -> str:
        """ExitWindowsEx with EWX_FORCE; the error text, empty when accepted (facts: windows-acpi 11)."""
        return TEXTS.get(self._windows.request_shutdown(AGENT, GOALS[mode], force=True), "")

    def suspend(self, state: str) -> str:
        """SetSuspendState, in a thread of its own: what Windows does with it, the agent never learns (facts 11)."""
        windows = self._windows
        if not windows.ospm.offers(state):
            return f"suspend-to-{SUSPEND_TARGETS[state]} not supported by OS"
        if windows.system.allows("sleep"):
            windows.system.activities.start(windows.power.sleep(state))
        return ""

    def host_name(self) -> str:
        """The computer name."""
        return self._windows.system.computer

    def time_ns(self) -> int:
        """The time of day, in nanoseconds since 1970."""
        return self._windows.system.now_ns

    def timezone(self) -> tuple[int, str]:
        """Offset from UTC in seconds, and the zone's name: this Windows is set to UTC."""
        return 0, "UTC"

    def users(self) -> list[tuple[str, int]]:
        """Who is logged on, and since when in nanoseconds since 1970."""
        return [(session.user, session.since_ns) for session in self._windows.sessions.sessions]

    def os_info(self) -> dict[str, object]:
        """`guest-get-osinfo` as the agent words it on Windows."""
        edition = self._windows.installation.edition
        return {
            "id": "mswindows",
            "name": "Microsoft Windows",
            "pretty-name": edition.product,
            "version": f"Microsoft Windows {edition.version}",
            "version-id": edition.version.removeprefix("Server "),
            "variant": edition.kind,
            "variant-id": edition.kind,
            "machine": "x86_64",
            "kernel-release": str(edition.build),
            "kernel-version": "10.0",
        }


def service(agent: Agent, *, hung: bool) -> Service:
    """The agent's service: its one function starts and stops the agent. hung: it never answers anything."""

    def respond(point: str) -> Response | None:
        if point == START:
            agent.start()
            if hung:
                agent.freeze()
        elif point == SHUTDOWN:
            agent.stop()
        return None

    return Service(name="QEMU-GA", respond=respond)
