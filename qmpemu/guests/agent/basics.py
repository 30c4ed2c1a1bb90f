"""Whether somebody is there, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.registry import command, listed

if TYPE_CHECKING:
    from qmpemu.guests.agent.host import Agent

VERSION = "7.2.0"
"""The agent of the QEMU that the profile shows; a distribution's patch level belongs to the host."""


@command("guest-sync", id="int")
def guest_sync(agent: Agent, id: int) -> object:
    """Echo the number."""
    return id


@command("guest-sync-delimited", id="int")
def guest_sync_delimited(agent: Agent, id: int) -> object:
    """Echo the number; the session puts 0xFF in front."""
    return id


@command("guest-ping")
def guest_ping(agent: Agent) -> object:
    """Answer, nothing else."""
    return {}


@command("guest-info")
def guest_info(agent: Agent) -> object:
    """What this agent can do now."""
    return {"version": VERSION, "supported_commands": listed(frozen=agent.frozen)}
