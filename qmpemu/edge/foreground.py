"""A VM in this process and terminal, on asyncio (uvloop where installed): what `qmpemu run` does."""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console

from qmpemu.core.table import Refused
from qmpemu.edge import argv, shipped, timeline
from qmpemu.edge.emulator import Emulator
from qmpemu.edge.environment import check_guest, configure
from qmpemu.edge.host_side import HostSide
from qmpemu.edge.keyval import OptionError
from qmpemu.edge.log import FactLog
from qmpemu.verdict import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping


def run(words: list[str], environment: Mapping[str, str], *, as_json: bool) -> int:
    """Run until the machine ends; returns its exit status, or 1 after one sentence about what is wrong."""
    try:
        if find_spec("uvloop") is not None:
            import uvloop

            return uvloop.run(_serve(words, environment, as_json))
        return asyncio.run(_serve(words, environment, as_json))
    except (OptionError, Refused) as error:
        print(f"qmpemu run: {error}", file=sys.stderr)
        return 1


async def _serve(words: list[str], environment: Mapping[str, str], as_json: bool) -> int:
    profile = shipped.profile(None)
    config, options = argv.parse_command_line(words, profile)
    scale = configure(config, environment)
    check_guest(config)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    side = HostSide(config, options, profile, loop, lambda text: print(text, file=sys.stderr))
    try:
        side.open()
        emulator = Emulator(side, scale=scale, on_exit=ended.set_result)
    except (OptionError, Refused):
        side.abandon()
        raise
    log = FactLog(emulator.vm.facts, loop, sys.stdout) if as_json else None
    if log is None:
        console = Console(highlight=False, soft_wrap=True)
        emulator.vm.facts.subscribe(lambda fact: console.print(timeline.row(Entry.of(fact))))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, emulator.terminate, number)
    emulator.open()
    if log is None:
        print(f"QMP: {', '.join(stream.describe() for stream in emulator.streams.values())}")
    emulator.start()
    status = await ended
    if log is not None:
        log.drain()
    return status
