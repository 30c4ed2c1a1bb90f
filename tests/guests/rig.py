"""A whole machine without its edge: real clock, bus, registers, board and processor, and Windows on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from qmpemu.acpi import ICH9, Chipset, FixedHardware
from qmpemu.core.clock import NS_PER_S, Clock, Lifetime, MachineClock
from qmpemu.core.facts import Bus, Fact
from qmpemu.guests import registry
from qmpemu.guests.guest import Guest, MemoryStore, Platform
from qmpemu.guests.windows import presets
from qmpemu.guests.windows.installation import Installation, fresh
from qmpemu.guests.windows.participants import Application, Participant, Service
from qmpemu.guests.windows.windows import Windows
from qmpemu.hardware import Hardware, plain
from qmpemu.machine.board import Board
from qmpemu.machine.processor import Processor
from qmpemu.port import AGENT_PORT, Port

STOCK_SERVER, CLOUD_SERVER = "windows-server-2022", "windows-server-2022-cloud"
CLIENT = "windows-11"


class Rig:
    """A machine with a guest. applications and services replace those of the preset; participants join them."""

    def __init__(
        self,
        name: str = CLOUD_SERVER,
        settings: Mapping[str, str] | None = None,
        *,
        applications: tuple[Application, ...] | None = None,
        services: tuple[Service, ...] | None = None,
        participants: tuple[Participant, ...] = (),
        infections: tuple[str, ...] = (),
        chipset: Chipset = ICH9,
        s3_disabled: bool = False,
        s4_disabled: bool = False,
        seed: str = "seed",
        store: MemoryStore | None = None,
        hardware: Hardware | None = None,
    ) -> None:
        self.name, self.settings, self.seed = name, dict(settings or {}), seed
        self.applications, self.services = applications, services
        self.participants, self.infections = participants, infections
        self.store = store or MemoryStore()
        self.hardware = hardware or plain()
        """What the machine has; a test may put another in its place at any time."""
        self.host = Clock()
        self.facts = Bus(lambda: self.host.now_ns)
        self.clock = MachineClock(self.host, self.facts, lambda: self.board.serve())
        self.acpi = FixedHardware(chipset, self.facts, s3_disabled=s3_disabled, s4_disabled=s4_disabled)
        self.port = Port(AGENT_PORT)
        self.replies = b""
        self.port.on_guest_data = self._reply
        self.processor = Processor(self.clock, self._load)
        self.board = Board(self.facts, self.clock, self.acpi, self.processor)
        self.board.on_reset = lambda: self.port.set_guest_open(False)
        self.guests: list[Guest] = []

    @property
    def windows(self) -> Windows:
        """The Windows of the latest boot."""
        guest = self.guests[-1]
        assert isinstance(guest, Windows)
        return guest

    def boot(self, seconds: float = 60) -> Rig:
        """Power the machine on and let time pass."""
        self.facts.run(None, self.board.cont)
        return self.run(seconds)

    def run(self, seconds: float) -> Rig:
        """Let time pass."""
        self.host.run_until(self.host.now_ns + int(seconds * NS_PER_S))
        return self

    def press(self, seconds: float = 60) -> Rig:
        """Press the power button, then let time pass."""
        self.ask(self.board.request_powerdown)
        return self.run(seconds)

    def ask(self, request: Callable[[], object]) -> None:
        """Make a request of the board and have it served, as a command does."""

        def served() -> None:
            request()
            self.board.serve()

        self.facts.run(None, served)

    def cut_power(self) -> None:
        """End the machine as `quit` does."""
        self.ask(lambda: self.board.request_shutdown(guest=False, reason="host-qmp-quit"))

    def names(self, *only: str) -> list[str]:
        """The names of the facts so far, or of those among `only`."""
        return [fact.name for fact in self.facts.kept if not only or fact.name in only]

    def all(self, name: str) -> list[Fact]:
        """Every fact of that name."""
        return [fact for fact in self.facts.kept if fact.name == name]

    def one(self, name: str) -> Fact:
        """The only fact of that name."""
        (fact,) = self.all(name)
        return fact

    def events(self) -> list[int]:
        """The Windows event ids so far, over all boots."""
        return [fact.data()["id"] for fact in self.all("EventLogged")]  # type: ignore[misc]

    def history(self) -> list[tuple[int, int, str, dict[str, object]]]:
        """Everything that happened, comparable."""
        return [(fact.seq, fact.at_ns, fact.name, fact.data()) for fact in self.facts.kept]

    def send(self, data: bytes, seconds: float = 1) -> bytes:
        """Write to the agent's port as the host's client does; what came back."""
        self.replies = b""
        self.facts.run(None, lambda: self.port.host_write(data))
        self.run(seconds)
        return self.replies

    def ask_agent(self, execute: str, seconds: float = 5, **arguments: object) -> Any:
        """One request to the guest agent (`_` for `-` in names): what it returned, or its error's text in a list."""
        spelled = {name.replace("_", "-"): value for name, value in arguments.items()}
        message = {"execute": execute, **({"arguments": spelled} if spelled else {})}
        reply = json.loads(self.send(json.dumps(message).encode() + b"\n", seconds))
        return reply["return"] if "return" in reply else [reply["error"]["desc"]]

    def _reply(self, data: bytes) -> None:
        self.replies += data

    def _load(self, boot: Lifetime) -> Guest:
        rng = Random(f"{self.seed}/{len(self.guests)}")
        platform = Platform(
            self.acpi,
            boot,
            self.facts,
            rng,
            {AGENT_PORT: self.port},
            store=self.store,
            hardware=lambda: self.hardware,
        )
        if self.applications is None and self.services is None and not self.infections:
            guest = registry.load(self.name, self.settings, platform, self.participants)
        else:
            guest = Windows(platform, presets.settings(self.name, self.settings), self._installation())
        self.guests.append(guest)
        return guest

    def _installation(self) -> Installation:
        installed = fresh(presets.PRESETS[self.name][0])
        return Installation(
            edition=installed.edition,
            applications=installed.applications if self.applications is None else self.applications,
            services=installed.services if self.services is None else self.services,
            drivers=installed.drivers,
            infections=self.infections,
        ).joined(self.participants)
