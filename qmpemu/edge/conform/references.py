"""Values that differ from run to run become references: `$time`, `$thread1`, `$fd1`, `$folder`.

Equal values get equal references, numbered by first appearance, so that what was the same in two replies must be
the same in the other run as well. RTC_CHANGE's offset is kept to the minute. Works on the text of a line: every other
byte is compared as it is.
"""

from __future__ import annotations

import re

TIMESTAMP = re.compile(r'"timestamp": ?(\{\s*"seconds": (\d+),\s*"microseconds": (\d+)\s*\})')
PRETTY_TIME = re.compile(r'( +"(seconds|microseconds)": )\d+(,?)')
THREAD = re.compile(r'("thread-id": )(\d+)')
DESCRIPTOR = re.compile(r'("fd": )(\d+)')
CLOCK_OFFSET = re.compile(r'("offset": )(-?\d+)(, "qom-path")')
TERMINAL = re.compile(r"/dev/pts/\d+")


class References:
    """The references of one run of one case."""

    __slots__ = ("_folder", "_last", "_names")

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: dict[tuple[str, str], str] = {}
        self._last: dict[str, int] = {}

    def replace(self, line: str, client: str = "") -> str:
        """A client's line with references.

        An event older than the one before it, of the same client, keeps its `timestamp`, which then shows.
        """
        if '"timestamp"' in line:
            line = TIMESTAMP.sub(lambda match: self._time(match, client), line)
        if match := PRETTY_TIME.fullmatch(line):
            return f"{match[1]}${match[2]}{match[3]}"
        if '"offset"' in line:
            line = CLOCK_OFFSET.sub(_about, line)
        if "-id" in line or '"fd"' in line or "/dev/pts" in line:
            line = THREAD.sub(lambda m: m[1] + self._name("thread", m[2]), line)
            line = DESCRIPTOR.sub(lambda m: m[1] + self._name("fd", m[2]), line)
            line = TERMINAL.sub(lambda m: self._name("pty", m[0]), line)
        return line.replace(self._folder, "$folder") if self._folder else line

    def _time(self, match: re.Match[str], client: str) -> str:
        microseconds = int(match[2]) * 1_000_000 + int(match[3])
        if microseconds < self._last.get(client, 0) or int(match[3]) > 999_999:
            return match[0]
        self._last[client] = microseconds
        return match[0].replace(match[1], "$time")

    def _name(self, kind: str, value: str) -> str:
        number = sum(known == kind for known, _ in self._names) + 1
        return self._names.setdefault((kind, value), f"${kind}{number}")


def _about(match: re.Match[str]) -> str:
    """The clock's offset, which depends on how long the run took, to the minute."""
    return f"{match[1]}$about{round(int(match[2]) / 60) * 60}{match[3]}"
