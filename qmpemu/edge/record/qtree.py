"""Records how `info qtree` tells of a device: which properties in which order, and the lines before and behind them.

One file: type -> `before` (its pins), `behind` (regions of a board's device); `names`, type or class -> properties of
its own, to which those of the class above are added.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qemu.qmp import QMPClient

DEVICE = re.compile(r'^ *dev: ([^,]+), id "[^"]*"$')
PROPERTY = re.compile(r"^ *([^ =]+) = ")
PINS, REGION, BUS = "gpio-", "mmio ", "bus: "


class Types:
    """All types that were seen."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, list[str]]] = {}

    async def read(self, client: QMPClient) -> None:
        """Look at every device of a machine."""
        text: Any = await client.execute("human-monitor-command", {"command-line": "info qtree"})
        here: dict[str, list[str]] | None = None
        for line in text.splitlines():
            if match := DEVICE.match(line):
                here = {"before": [], "names": [], "behind": []}
                if self._seen.setdefault(match[1], here) is not here:
                    here = None
            elif line.lstrip().startswith(BUS):
                here = None
            elif here is not None:
                _note(here, line)

    def told(self, parents: dict[str, str]) -> dict[str, Any]:
        """What the file says. parents: type -> the class above it."""
        lists = {kind: about["names"] for kind, about in self._seen.items()}
        lines = {
            kind: {part: about[part] for part in ("before", "behind") if about[part]}
            for kind, about in sorted(self._seen.items())
        }
        return {
            "lines": {kind: each for kind, each in lines.items() if each},
            "names": by_class(lists, parents),
        }


def _note(here: dict[str, list[str]], line: str) -> None:
    if match := PROPERTY.match(line):
        here["names"].append(match[1])
    elif line.lstrip().startswith(PINS):
        here["before"].append(line.strip())
    elif line.lstrip().startswith(REGION):
        here["behind"].append(line.strip())


def by_class(lists: dict[str, list[str]], parents: dict[str, str]) -> dict[str, list[str]]:
    """What all types of a class end with is told of the class, once."""
    ends: dict[str, list[str]] = dict(lists)
    for kind, names in lists.items():
        for above in _above(kind, parents):
            ends[above] = _common(ends[above], names) if above in ends else names
    found = {}
    for kind, names in sorted(ends.items()):
        inherited = len(ends[parents[kind]]) if parents.get(kind) in ends else 0
        own = names[: len(names) - inherited]
        if own or kind in lists:
            found[kind] = own
    return found


def _common(one: list[str], other: list[str]) -> list[str]:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return one[len(one) - count :]


def _above(kind: str, parents: dict[str, str]) -> Iterable[str]:
    while kind in parents:
        kind = parents[kind]
        yield kind
