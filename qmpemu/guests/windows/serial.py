"""The first serial line: the firmware's text, then the Special Administration Console of a server with EMS.

    power on ──> firmware text ──EMS on, a server──> kernel up ──> SAC> ──line──> command     (`serial_commands`)
                                                                    └── cmd ──> a channel with a command prompt
    ESC TAB  goes on to the next channel                            bugcheck ──> its stop code, and no prompt any more

Without EMS, and in client editions, Windows leaves the line alone. Words that Windows shows are shortened here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmpemu.core.facts import Fact
from qmpemu.guests.firmware import WORDS
from qmpemu.guests.windows import system as life

if TYPE_CHECKING:
    from qmpemu.guests.windows.serial_commands import CommandPrompt
    from qmpemu.guests.windows.windows import Windows
    from qmpemu.port import Port

LINE_MAX = 80
"""Characters of a line; more are not taken."""

PENDING_MAX = 4096
"""Bytes that may wait while the machine stands still; a serial line loses the rest."""

CHANNELS_MAX = 10
"""Channels, the SAC's own included."""

BOOTING = "Boot from hard disk"
PROMPT = "SAC>"
BACKSPACE = (0x08, 0x7F)
ESCAPE = 0x1B
ANSWERS = frozenset({life.SERVICES, life.RUNNING, life.STOPPING, life.FALLING_ASLEEP, life.WAKING})
"""Phases in which the kernel's SAC driver runs."""


class SacCommanded(Fact):
    """Somebody gave a command over the serial line."""

    channel: str
    line: str


class SerialConsole:
    """The serial line of one booted Windows. channels: command prompts by name; current: whose turn it is."""

    __slots__ = ("_escaped", "_line", "_pending", "_port", "_windows", "channels", "current", "is_up")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._line = ""
        self._pending = 0
        self._escaped = False
        self._port: Port | None = windows.system.platform.console.serial
        self.is_up = False
        self.channels: dict[str, CommandPrompt] = {}
        self.current = ""
        if self._port is not None:
            self._port.on_host_data = self._received

    @property
    def has_sac(self) -> bool:
        """Whether this installation has the console at all."""
        windows = self._windows
        return bool(windows.system.settings.EMS) and windows.installation.edition.kind == "server"

    # --- what Windows says ------------------------------------------------------------------------------------

    def firmware(self) -> None:
        """The power-on self test."""
        self.write("".join(f"{line}\n" for line in WORDS))

    def loader(self) -> None:
        """The boot manager was found."""
        self.write(f"{BOOTING}\n")

    def kernel_up(self) -> None:
        """The SAC driver starts with the kernel."""
        if self.has_sac:
            self.is_up = True
            self.write(
                "\nComputer is booting, SAC started and initialized.\n\nUse the ? command for help.\n\n"
            )
            self.prompt()

    def booted(self) -> None:
        """Channels with a command prompt can be made."""
        if self.is_up:
            self.write("\nEVENT: The CMD command is now available.\n")
            self.prompt()

    def bugchecked(self, code: int, name: str) -> None:
        """The crash screen's text on the line."""
        if self.is_up:
            self.is_up = False
            self.write(f"\n*** Stop code: 0x{code:08X} {name}\n")

    def write(self, text: str) -> None:
        """Send text; lines end as on a terminal."""
        if self._port is not None:
            self._port.guest_write(text.replace("\n", "\r\n").encode())

    def prompt(self) -> None:
        """Ask for the next line of the channel whose turn it is."""
        channel = self.channels.get(self.current)
        self.write(PROMPT if channel is None else channel.prompt)

    # --- what comes in ----------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        taken = data[: PENDING_MAX - self._pending]
        self._pending += len(taken)

        def deliver() -> None:
            self._pending -= len(taken)
            for byte in taken:
                self._byte(byte)

        if taken:
            self._windows.system.platform.clock.call_in(0, deliver)

    def _byte(self, byte: int) -> None:
        if not self.is_up or self._windows.system.phase not in ANSWERS:
            return
        if self._escaped:
            self._escaped = False
            if byte == 0x09:
                self._next_channel()
            return
        if byte == ESCAPE:
            self._escaped = True
        elif byte in (0x0D, 0x0A):
            self._run()
        elif byte in BACKSPACE:
            if self._line:
                self._line = self._line[:-1]
                self._echo("\b \b")
        elif 0x20 <= byte < 0x7F and len(self._line) < LINE_MAX:
            self._line += chr(byte)
            self._echo(chr(byte))

    def _echo(self, text: str) -> None:
        channel = self.channels.get(self.current)
        if channel is None or not channel.hides_input:
            self.write(text)

    def _run(self) -> None:
        """A line is complete."""
        from qmpemu.guests.windows import serial_commands

        line, self._line = self._line.strip(), ""
        self.write("\n")
        channel = self.channels.get(self.current)
        facts = self._windows.system.facts
        if line and (channel is None or channel.logged_on):
            facts.cause = None
            facts.chain(SacCommanded(channel=self.current or "SAC", line=line))
        said = serial_commands.run(self._windows, self, line) if channel is None else channel.enter(line)
        self.write(said)
        if self.is_up:
            self.prompt()

    def _next_channel(self) -> None:
        names = ["", *self.channels]
        self.switch(names[(names.index(self.current) + 1) % len(names)])
        self.prompt()

    def switch(self, name: str) -> None:
        """Another channel has the line."""
        self.current, self._line = name, ""
        self.write(f"\nName: {name or 'SAC'}\n")
