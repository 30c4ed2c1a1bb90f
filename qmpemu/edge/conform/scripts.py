"""One generated session, drawn whole before it is played: who comes and goes, and what is sent.

What is drawn may not depend on what the binaries say, or the same draws would not give the same session.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from qmpemu.edge.conform.arguments import Arguments, mutated

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from qmpemu.edge.conform.sessions import Session

STEPS_MAX = 14
BATCH_MAX, OUT_OF_BAND_BATCH_MAX = 8, 5
"""With out-of-band enabled QEMU 7.2 aborts where one read completes more messages than its queue of 8 has room for."""
MACHINES = (
    "-machine none -S",
    "-machine none",
    "-machine none --preconfig",
    "-machine q35 -S",
    "-machine pc -S",
)
"""Those with hardware stand still: what a real processor does, and when, is not the same in two runs."""
ACTIONS = ("", "-no-shutdown", "-no-reboot", "-action panic=none")
_LINES = """
    info status | info version | info name | info uuid | info kvm | cont | c | stop | s | nosuch |
    system_reset | system_powerdown | system_wakeup | nmi | stop now | info status now | Cont |
    infostatus
"""
HMP_LINES = ("", "  ", *(line.strip() for line in _LINES.split("|")))
"""For the human monitor: what is emulated, and what must be refused as the real one does."""
_ACCESSES = """
    inw 0x600 | inw 0x602 | inw 0x604 | outw 0x602 0x100 | outw 0x602 0x0 | outw 0x600 0x100 |
    outw 0x602 0x120 | outw 0x604 0x1 | outw 0x604 0x2000 | outw 0x604 0x2800 | outb 0xcf9 0x6 |
    inb 0x64 | outw 0x600 0xffff | outl 0xcf8 0x8000f840 | outl 0xcfc 0x601 | outl 0xcf8 0x8000f844 |
    outb 0xcfc 0x80 | inl 0xcfc
"""
REGISTERS = tuple(access.strip() for access in _ACCESSES.split("|"))
"""Over qtest: the power management block, where firmware maps it, the reset ports, and its PCI address."""
STARTING = ("a", "b")


def argv_of(choices: random.Random) -> str:
    """How both binaries are started."""
    return f"{choices.choice(MACHINES)} {choices.choice(ACTIONS)}".strip()


def has_hardware(argv: str) -> bool:
    """Whether the machine has registers, and firmware that would run."""
    return "-machine none" not in argv


class Script:
    """A session, drawn whole before it is played: what is drawn may not depend on what the binaries say."""

    def __init__(self, choices: random.Random, arguments: Arguments, *, registers: bool) -> None:
        self._pick = choices
        self._arguments = arguments
        self._registers = registers
        self._steps: list[tuple[str | None, Callable[[Session], object]]] = []
        self._clients: list[str] = []
        self._out_of_band: set[str] = set()
        self._connect("a")
        for _ in range(choices.randrange(1, STEPS_MAX)):
            self._draw()

    def play(self, session: Session) -> None:
        """Run it; steps of clients that have been hung up on are left out. Raises Different."""
        if self._registers:
            session.connect_qtest()
        for client, step in self._steps:
            if not session.over and (client is None or client in session.clients):
                step(session)

    def _add(self, client: str | None, step: Callable[[Session], object]) -> None:
        self._steps.append((client, step))

    def _send(self, client: str, text: str, *, out_of_band: bool = False) -> None:
        self._add(client, lambda session: session.send(client, text, out_of_band=out_of_band))

    def _connect(self, client: str) -> None:
        oob = self._pick.choice((False, False, True, None))
        self._clients.append(client)
        (self._out_of_band.add if oob else self._out_of_band.discard)(client)
        self._add(None, lambda session: session.connect(client, STARTING.index(client) + 1, oob=oob))

    def _draw(self) -> None:
        pick, client = self._pick, self._pick.choice(self._clients)
        match pick.randrange(14):
            case 0 | 1 | 2 | 3:
                self._send(client, self._arguments.message(pick))
            case 4 | 5:
                most = OUT_OF_BAND_BATCH_MAX if client in self._out_of_band else BATCH_MAX
                self._send(
                    client, "".join(self._arguments.message(pick) for _ in range(pick.randrange(2, most)))
                )
            case 6 | 7:
                data = mutated(pick, self._arguments)
                if client not in self._out_of_band:  # a stray can be many errors at once there
                    self._add(client, lambda session: session.send_raw(client, data))
            case 8:
                self._human(client)
            case 9:
                self._send(client, self._arguments.mixed(pick), out_of_band=True)
            case 10:
                self._come_or_go()
            case 11:
                name = pick.choice(("one", "two", "1st"))
                text = f'{{"execute":"getfd","arguments":{{"fdname":"{name}"}}}}'
                self._add(client, lambda session: session.pass_file(client, text))
            case _:
                self._poke(client)

    def _human(self, client: str) -> None:
        line = self._pick.choice(HMP_LINES)
        line = json.dumps({"command-line": "stop" if line in ("c", "cont") and self._registers else line})
        self._send(client, f'{{"execute":"human-monitor-command","arguments":{line}}}')

    def _poke(self, client: str) -> None:
        if self._registers:
            text = self._pick.choice(REGISTERS)
            self._add(None, lambda session: session.qtest(text))
            return
        verb = self._pick.choice(("cont", "stop", "system_reset", "system_powerdown", "query-status"))
        self._send(client, f'{{"execute":"{verb}","id":{self._pick.randrange(9)}}}')

    def _come_or_go(self) -> None:
        if len(self._clients) < len(STARTING):
            self._connect(next(name for name in STARTING if name not in self._clients))
            return
        client = self._pick.choice(self._clients)
        self._clients.remove(client)
        self._add(client, lambda session: session.disconnect(client))
