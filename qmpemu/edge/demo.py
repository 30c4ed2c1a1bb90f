"""The main job, shown: a separate emulator process, the genuine qemu.qmp client, one press of the power button.

[1] a guest that obeys      system_powerdown -> PM1_STS -> SCI -> Windows shuts down -> S5 -> SHUTDOWN -> exit 0
[2] a guest set to ignore   system_powerdown -> PM1_STS -> SCI -> "do nothing"; the demo then ends it with quit
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qemu.qmp import Message, QMPClient
from rich.console import Console

from qmpemu.edge import timeline
from qmpemu.verdict import Entry, story

if TYPE_CHECKING:
    from collections.abc import Callable

EMULATOR = [sys.executable, "-m", "qmpemu.edge.process"]
GIVE_UP_S = 60.0
PATIENCE_S = 2.0
"""How long the demo watches a guest that does nothing."""


def run(guest: str, speed: str) -> int:
    """Both halves; 0 when the first guest powered off and the second did not."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        obeyed = asyncio.run(_half(console, "1. the guest obeys", guest, speed, ""))
        ignored = not asyncio.run(_half(console, "2. the guest ignores", guest, speed, "PBUTTONACTION=0"))
    except DemoError as error:
        print(f"qmpemu demo: {error}", file=sys.stderr)
        return 1
    console.print(f"\nobeying guest powered off: {obeyed}    ignoring guest kept running: {ignored}")
    return 0 if obeyed and ignored else 1


class DemoError(Exception):
    """The demo could not be run; one sentence."""


async def _half(console: Console, title: str, guest: str, speed: str, settings: str) -> bool:
    """One VM's life; True when its guest powered it off."""
    with tempfile.TemporaryDirectory(prefix="qmpemu-") as folder:
        emulator = Emulated(Path(folder), guest, speed, settings)
        await emulator.start()
        try:
            return await _press(console, title, emulator)
        finally:
            await emulator.stop()


async def _press(console: Console, title: str, emulator: Emulated) -> bool:
    console.print(f"\n{title}   ({emulator.about})", style="bold")
    await emulator.log_has(_guest_is_ready)
    client = QMPClient("demo")
    await client.connect(str(emulator.socket))
    with client.listener() as listener:
        console.print(f"   greeting: QEMU {client.greeting.QMP.version['qemu'] if client.greeting else '?'}")
        console.print('-> {"execute": "system_powerdown"}')
        reply = await client.execute("system_powerdown")
        names: list[str] = []

        def show(event: Message) -> None:
            names.append(str(event["event"]))
            console.print(f"<- event {event['event']} {json.dumps(event.get('data', {}))}")

        while not listener.empty():  # came before the reply
            show(await listener.get())
        console.print(f"<- {json.dumps({'return': reply})}")
        try:
            while "SHUTDOWN" not in names:
                show(await asyncio.wait_for(listener.get(), PATIENCE_S if names else GIVE_UP_S))
        except TimeoutError:
            status = await client.execute("query-status")
            console.print(f"   nothing more for {PATIENCE_S:.0f} s; query-status: {json.dumps(status)}")
    off = "SHUTDOWN" in names
    if not off:
        console.print('-> {"execute": "quit"}   (forced: the demo must end)')
        await client.execute("quit")
    status = await emulator.exit_status()
    with suppress(EOFError):  # how qemu.qmp says that the server left first
        await client.disconnect()
    console.print(f"   the emulator process left with status {status}")
    _print_story(console, emulator.entries(), off)
    return off


def _guest_is_ready(entry: Entry) -> bool:
    return entry.name == "BootCompleted"


def _print_story(console: Console, entries: list[Entry], off: bool) -> None:
    press = next(entry for entry in entries if entry.name == "CommandReceived")
    console.print("\n   time line (machine seconds; #number <- #cause)")
    for line in timeline.rows([entry for entry in entries if entry.seq >= press.seq]):
        console.print(line)
    decisive = [entry for entry in entries if entry.name in timeline.DECISIVE]
    if decisive:
        console.print("\n   why: the chain of causes")
        for line in timeline.rows(story(entries, decisive[-1])):
            console.print(line)


class Emulated:
    """An emulator process with its socket and log in `folder`."""

    def __init__(self, folder: Path, guest: str, speed: str, settings: str) -> None:
        self.socket = folder / "qmp.sock"
        self.log = folder / "log.jsonl"
        self.about = f"{guest}{', ' + settings if settings else ''}, clock at {speed}"
        self._environment = {
            **os.environ,
            "QMPEMU_GUEST": guest,
            "QMPEMU_SPEED": speed,
            "QMPEMU_SET": settings,
            "QMPEMU_LOG": str(self.log),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; it powers the machine up at once. Raises DemoError."""
        words = ["-name", "demo", "-machine", "q35", "-nodefaults", "-display", "none"]
        words += ["-qmp", f"unix:{self.socket},server=on,wait=off"]
        self._process = await asyncio.create_subprocess_exec(
            *EMULATOR, *words, env=self._environment, stderr=asyncio.subprocess.PIPE
        )

    async def log_has(self, wanted: Callable[[Entry], bool]) -> None:
        """Wait until an entry of the log is `wanted`. Raises DemoError when the process dies or time is up."""
        for _ in range(int(GIVE_UP_S / 0.05)):
            if any(wanted(entry) for entry in self.entries()):
                return
            if self._process is not None and self._process.returncode is not None:
                assert self._process.stderr is not None
                raise DemoError((await self._process.stderr.read()).decode().strip() or "the emulator died")
            await asyncio.sleep(0.05)
        raise DemoError(f"the guest was not ready after {GIVE_UP_S:.0f} s")

    def entries(self) -> list[Entry]:
        """The log so far."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True)
        parsed: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("\n")]
        return [Entry.of_log(line) for line in parsed]

    async def exit_status(self) -> int:
        """Wait for the process to leave."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), GIVE_UP_S)

    async def stop(self) -> None:
        """Leave nothing running."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
