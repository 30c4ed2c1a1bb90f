"""Records what is said of a -global whose class no device of the machine is of: one start that gives one of each.

`unused`: classes of which it is said that it was not used, since no such device can come later; `unknown`: those of
modules, which are not loaded before such a device is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qmpemu.edge.record.process import output

if TYPE_CHECKING:
    from collections.abc import Iterable

SAID = re.compile(r"warning: global (\S+)\.x(=1 not used| has invalid class name)$", re.MULTILINE)
ALWAYS_THERE = ("device", "migration", "platform-bus")
"""Classes that even a machine without a board has an object of."""
NO_URI = "none:"
"""Given to -incoming, it ends the process once the machine is made."""


async def unmet(binary: str, classes: Iterable[str]) -> dict[str, list[str]]:
    """What is said of each class, by its words. Raises RecordError."""
    words = []
    for name in sorted(set(classes).difference(ALWAYS_THERE)):
        words += ["-global", f"driver={name},property=x,value=1"]
    said = await output(binary, "-machine", "none", "-display", "none", "-S", *words, "-incoming", NO_URI)
    found = SAID.findall(said)
    return {
        "unused": sorted(name for name, text in found if text.endswith("used")),
        "unknown": sorted(name for name, text in found if text.endswith("name")),
    }
