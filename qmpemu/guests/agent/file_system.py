"""Disks and volumes: what there is, holding writes for a snapshot, discarding what is unused.

    thawed ──freeze──> frozen ──thaw──> thawed          frozen: only `registry.WHILE_FROZEN` is obeyed

Windows holds writes for 10 s at most; the agent goes on to call itself frozen until thaw tells it (measured by others,
facts: VSS_E_HOLD_WRITES_TIMEOUT).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.guests.agent.host import HostError
from qmpemu.guests.agent.registry import command
from qmpemu.qmp.errors import QmpError

if TYPE_CHECKING:
    from qmpemu.guests.activity import Steps
    from qmpemu.guests.agent.host import Agent


@command("guest-get-disks")
def guest_get_disks(agent: Agent) -> object:
    """Physical disks."""
    return agent.host.storage.disks()


@command("guest-get-fsinfo")
def guest_get_fsinfo(agent: Agent) -> object:
    """Volumes that are mounted, and the disks they are on."""
    return agent.host.storage.file_systems()


@command("guest-fsfreeze-status")
def guest_fsfreeze_status(agent: Agent) -> object:
    """Whether the agent holds writes, as far as it knows."""
    return "frozen" if agent.frozen else "thawed"


@command("guest-fsfreeze-freeze", acts=True)
def guest_fsfreeze_freeze(agent: Agent) -> Steps[object]:
    """Hold writes to all volumes; of how many."""
    return _freeze(agent, None)


@command("guest-fsfreeze-freeze-list", acts=True, mountpoints="[str]?")
def guest_fsfreeze_freeze_list(agent: Agent, mountpoints: list[str] | None = None) -> Steps[object]:
    """Hold writes to the volumes named; of how many."""
    return _freeze(agent, mountpoints)


@command("guest-fsfreeze-thaw", acts=True)
def guest_fsfreeze_thaw(agent: Agent) -> object:
    """Let writes go on; of how many volumes."""
    agent.frozen = False
    try:
        return agent.host.storage.thaw()
    except HostError as error:
        raise QmpError(str(error)) from None


@command("guest-fstrim", acts=True, minimum="int?")
def guest_fstrim(agent: Agent, minimum: int = 0) -> object:
    """Discard what is unused on every volume with a drive letter; Windows takes no minimum."""
    return {"paths": [{"path": path} for path in agent.host.storage.trim()]}


def _freeze(agent: Agent, mount_points: list[str] | None) -> Steps[object]:
    agent.frozen = True
    try:
        count = yield from agent.host.storage.freeze(mount_points)
    except HostError as error:
        agent.frozen = False
        raise QmpError(str(error)) from None
    return count
