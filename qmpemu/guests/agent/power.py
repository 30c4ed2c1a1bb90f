"""How the guest ends and sleeps: no reply on success, the machine itself shows it (facts: windows-acpi 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.agent.registry import NOTHING, command, failed, unsupported
from qmpemu.qmp import errors
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.agent.host import Agent

MODES = ("halt", "powerdown", "reboot")
SUSPEND_TARGETS = {"S3": "ram", "S4": "disk"}


@command("guest-shutdown", answers=False, acts=True, mode="str?")
def guest_shutdown(agent: Agent, mode: str = "powerdown") -> object:
    """Begin a shutdown that bypasses the power button's policy."""
    if mode not in MODES:
        raise errors.parameter_expects("mode", "'halt', 'powerdown', or 'reboot'")
    try:
        agent.host.power.shutdown(mode)
    except HostError as error:
        raise QmpError(f"guest-shutdown failed: {error}") from None
    return NOTHING


@command("guest-suspend-disk", answers=False, acts=True)
def guest_suspend_disk(agent: Agent) -> object:
    """Hibernate."""
    return _suspend(agent, "S4")


@command("guest-suspend-ram", answers=False, acts=True)
def guest_suspend_ram(agent: Agent) -> object:
    """Sleep."""
    return _suspend(agent, "S3")


@command("guest-suspend-hybrid", answers=False, acts=True, enabled=False)
def guest_suspend_hybrid(agent: Agent) -> object:
    """Not on Windows."""
    raise unsupported()


def _suspend(agent: Agent, state: str) -> object:
    if not agent.host.power.suspend(state):
        raise failed(f"suspend-to-{SUSPEND_TARGETS[state]} not supported by OS")
    return NOTHING
