"""The time line of a machine as text: one row a fact, with the number of its cause.

12.340 s  #31 <- #30  ButtonLatched        coalesced=False
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmpemu.verdict import Entry

STYLES = {
    "CommandReceived": "bold cyan",
    "SignalReceived": "bold cyan",
    "PowerdownRequested": "cyan",
    "ButtonLatched": "yellow",
    "ButtonLost": "bold red",
    "ButtonIgnored": "bold red",
    "SciChanged": "yellow",
    "SleepRequested": "bold green",
    "MachineShutDown": "bold green",
}
"""Only decoration: without colour the row says the same."""


RUN_SHOWN_MAX = 3
DECISIVE = ("SleepRequested", "ButtonIgnored", "ButtonLost", "ShutdownDiscarded", "ShutdownBlocked")
"""Facts whose chain of causes is worth showing."""


def row(entry: Entry) -> Text:
    """One row."""
    because = "" if entry.because is None else f"<- #{entry.because}"
    data = "  ".join(f"{name}={_value(name, value)}" for name, value in entry.data.items())
    text = Text(f"{entry.at_s:10.3f} s  #{entry.seq:<3} {because:<8} ")
    text.append(f"{entry.name:<24}", style=STYLES.get(entry.name, ""))
    text.append(f" {data}" if data else "")
    return text


REGISTERS = ("pm1_sts", "pm1_en", "code")
"""Fields that read better in hexadecimal."""


def _value(name: str, value: object) -> str:
    if name in REGISTERS and isinstance(value, int):
        return f"{value:#06x}"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def rows(entries: list[Entry]) -> Iterator[Text]:
    """One row an entry; of a long run of the same kind the first and the last, and how many stand between."""
    for name, run in groupby(entries, key=lambda entry: entry.name):
        same = list(run)
        if len(same) <= RUN_SHOWN_MAX:
            yield from map(row, same)
        else:
            yield row(same[0])
            yield Text(f"{'':26}... {len(same) - 2} more {name}", style="dim")
            yield row(same[-1])
