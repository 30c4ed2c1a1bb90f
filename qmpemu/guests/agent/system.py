"""What the guest is: operating system, time, name, devices, processors, memory, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qmpemu.guests.agent.registry import command, unsupported
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.agent.host import Agent


@command("guest-get-osinfo")
def guest_get_osinfo(agent: Agent) -> object:
    """Which operating system this is."""
    return agent.host.system.os_info()


@command("guest-get-host-name")
def guest_get_host_name(agent: Agent) -> object:
    """The computer's name."""
    return {"host-name": agent.host.system.host_name()}


@command("guest-get-time")
def guest_get_time(agent: Agent) -> object:
    """Nanoseconds since 1970 by the guest's clock."""
    return agent.host.clock.now_ns()


@command("guest-set-time", acts=True, time="int?")
def guest_set_time(agent: Agent, time: int | None = None) -> object:
    """Set the guest's clock, or have it taken from the time service."""
    if time is None:
        why = agent.host.clock.resync()
        if why:
            raise QmpError(why)
    elif time < 0:
        raise QmpError(f"Time {time}is invalid")  # no space there: so the real one
    else:
        agent.host.clock.set(time)
    return {}


@command("guest-get-timezone")
def guest_get_timezone(agent: Agent) -> object:
    """The guest's time zone."""
    offset_s, zone = agent.host.clock.timezone()
    return {"zone": zone, "offset": offset_s}


@command("guest-get-devices")
def guest_get_devices(agent: Agent) -> object:
    """Paravirtual devices, with their drivers."""
    return agent.host.system.devices()


@command("guest-network-get-interfaces")
def guest_network_get_interfaces(agent: Agent) -> object:
    """Network interfaces, their addresses and figures."""
    return agent.host.system.interfaces()


@command("guest-get-vcpus")
def guest_get_vcpus(agent: Agent) -> object:
    """Logical processors; Windows takes none of them off line."""
    count = agent.host.system.processors()
    return [{"logical-id": number, "online": True, "can-offline": False} for number in range(count)]


@command("guest-set-vcpus", acts=True, enabled=False, vcpus="[GuestLogicalProcessor]")
def guest_set_vcpus(agent: Agent, vcpus: list[dict[str, Any]]) -> object:
    """Not on Windows."""
    raise unsupported()


@command("guest-get-memory-blocks", enabled=False)
def guest_get_memory_blocks(agent: Agent) -> object:
    """Not on Windows."""
    raise unsupported()


@command("guest-set-memory-blocks", acts=True, enabled=False, mem_blks="[GuestMemoryBlock]")
def guest_set_memory_blocks(agent: Agent, mem_blks: list[dict[str, Any]]) -> object:
    """Not on Windows."""
    raise unsupported()


@command("guest-get-memory-block-info", enabled=False)
def guest_get_memory_block_info(agent: Agent) -> object:
    """Not on Windows."""
    raise unsupported()


@command("guest-get-diskstats")
def guest_get_diskstats(agent: Agent) -> object:
    """Listed as enabled on Windows, and refused."""
    raise unsupported()


@command("guest-get-cpustats")
def guest_get_cpustats(agent: Agent) -> object:
    """Listed as enabled on Windows, and refused."""
    raise unsupported()
