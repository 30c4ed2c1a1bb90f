"""A VM driven by hand in virtual time, from a QEMU command line: no socket, no wall clock."""

from __future__ import annotations

import json
from typing import Any

from qmpemu.core.clock import NS_PER_S, Clock
from qmpemu.core.facts import Fact
from qmpemu.edge import argv, shipped
from qmpemu.edge.environment import check_guest, configure
from qmpemu.machine.host import Host
from qmpemu.vm import VM

FIRMWARE = "/usr/share/seabios/bios-256k.bin"
"""A file of -bios, of the Debian package seabios, on which the real QEMU depends; ours never runs one."""


class Driven:
    """A VM from a QEMU command line and QMPEMU_* settings, with one negotiated client."""

    def __init__(self, line: str = "-machine q35", host: Host | None = None, **environment: str) -> None:
        config, _ = argv.parse_command_line(line.split(), shipped.profile(None))
        configure(config, environment)
        check_guest(config)
        self.clock = Clock()
        self.vm = VM(config, shipped.profile(None), host or Host(), self.clock)
        self.session = self.vm.add_monitor()
        self.session.open()
        self.session.receive(b'{"execute":"qmp_capabilities"}')
        self.session.take()
        self.vm.power_up()
        self.session.take()

    def say(self, command: str, **arguments: object) -> list[dict[str, Any]]:
        """Events and reply of a command."""
        message = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.session.receive(json.dumps(message).encode())
        return self.heard()

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.session.take().splitlines()]

    def run(self, seconds: float) -> list[str]:
        """Let time pass; the events of it."""
        self.clock.run_until(self.clock.now_ns + int(seconds * NS_PER_S))
        return [message["event"] for message in self.heard()]

    def facts(self) -> list[str]:
        return [fact.name for fact in self.vm.facts.kept]

    def last(self, name: str) -> Fact:
        return next(fact for fact in reversed(self.vm.facts.kept) if fact.name == name)
