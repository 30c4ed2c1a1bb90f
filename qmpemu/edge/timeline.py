"""The time line of a machine as text: one row a fact, with the number of its cause.

12.340 s  #31 <- #30  ButtonLatched        coalesced=False
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qmpemu.core.facts import Fact

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


class Entry(NamedTuple):
    """A fact, or a line of a QMPEMU_LOG file."""

    name: str
    seq: int
    at_s: float
    because: int | None
    data: Mapping[str, object]

    @classmethod
    def of(cls, fact: Fact) -> Entry:
        """The entry of a live fact."""
        because = None if fact.because is None else fact.because.seq
        return cls(fact.name, fact.seq, fact.at_ns / 1e9, because, fact.data())

    @classmethod
    def of_log(cls, line: Mapping[str, object]) -> Entry:
        """The entry of a parsed log line."""
        data = {k: v for k, v in line.items() if k not in ("event", "seq", "at_s", "because", "timestamp")}
        because = line["because"]
        return cls(
            str(line["event"]),
            int(str(line["seq"])),
            float(str(line["at_s"])),
            None if because is None else int(str(because)),
            data,
        )


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


def story(entries: list[Entry], last: Entry) -> list[Entry]:
    """The chain of causes that led to `last`, in order of time."""
    by_seq = {entry.seq: entry for entry in entries}
    chain: list[Entry] = []
    step: Entry | None = last
    while step is not None:
        chain.append(step)
        step = None if step.because is None else by_seq.get(step.because)
    return chain[::-1]
