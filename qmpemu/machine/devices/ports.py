"""The virtio-serial ports of a machine: joined with character devices, and told of when the guest opens them."""

from __future__ import annotations

from qmpemu.core.facts import Fact
from qmpemu.machine import inputs
from qmpemu.port import Port, Ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.machine import Machine


class PortOpened(Fact):
    """A program in the guest opened or closed a virtio-serial port (QMP event VSERPORT_CHANGE)."""

    id: str
    open: bool


class PortDevices(Ports):
    """Ports by name, each with the id of its device."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self._ids: dict[str, str] = {}

    def add(self, name: str, identity: str, chardev: Chardev | None) -> None:
        """A port comes: open when the guest says so, joined with a character device."""
        self._machine.history.note("port came", name)
        port = self[name] = Port(name)

        def guest_open(opened: bool) -> None:
            if chardev is not None:
                chardev.frontend_open = opened
            self._machine.facts.publish(PortOpened(id=identity, open=opened))

        port.on_guest_open = guest_open
        if chardev is not None:
            inputs.join_port(self._machine, port, chardev)
        self._ids[name] = identity

    def remove(self, name: str) -> None:
        """A port's device is gone, where there was one."""
        if name in self:
            self[name].on_guest_open = _unseen  # nobody reports what the guest does to it
            self._machine.history.note("port went", name)
            del self[name]

    def show(self, came: list[str]) -> None:
        """Say which of the ports that came with the guest it has open, to clients of a machine that it has come to."""
        for name in came:
            if name in self and self._ids.get(name):
                self._machine.facts.publish(PortOpened(id=self._ids[name], open=self[name].guest_open))


def _unseen(opened: bool) -> None:
    """Nobody is told."""
