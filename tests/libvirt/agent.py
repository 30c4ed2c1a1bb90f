"""What the tests of the guest agent share: events, acts at the guest's console, and what virsh prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.libvirt.libvirtd import until

if TYPE_CHECKING:
    from tests.libvirt.libvirtd import Libvirtd

FAST = "60x"
CONNECTED = "agent-lifecycle': state: 'connected' reason: 'channel event"
DISCONNECTED = "agent-lifecycle': state: 'disconnected' reason: 'channel event"


def operate(libvirtd: Libvirtd, name: str, act: str, value: str = "") -> None:
    """One act at the guest's console."""
    arguments = {"value": value} if value else {}
    command = {"execute": f"__org.qmpemu_{act}", "arguments": arguments}
    reply = json.loads(libvirtd.ok("qemu-monitor-command", name, json.dumps(command)))
    assert "error" not in reply, reply


def booted(libvirtd: Libvirtd, name: str) -> None:
    """Until Windows without an agent is up: from then on a service can be named at its console."""

    def up() -> bool:
        command = '{"execute": "__org.qmpemu_stop_service", "arguments": {"value": "Spooler"}}'
        return "error" not in libvirtd.ok("qemu-monitor-command", name, command)

    until(up, f"Windows of {name} is up")


def ask(libvirtd: Libvirtd, name: str, execute: str, **arguments: object) -> Any:
    """An agent command through libvirt: what it returned."""
    spelled = {key.replace("_", "-"): value for key, value in arguments.items()}
    command = json.dumps({"execute": execute, "arguments": spelled})
    return json.loads(libvirtd.ok("qemu-agent-command", name, command))["return"]


def info(text: str) -> dict[str, str]:
    """Lines `key : value` of virsh."""
    return {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())
    }
