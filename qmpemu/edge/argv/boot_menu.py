"""What firmware is to show and how long it waits: -boot splash=, splash-time=, reboot-timeout= (texts measured)."""

from __future__ import annotations

import os

from qmpemu.edge.argv.parser import Unprefixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmpemu.machine.config import MachineConfig

TIMES = ("splash-time", "reboot-timeout")
JPEG, BITMAP = b"\xff\xd8", b"BM"
DEPTH_AT, DEPTH_BITS = 28, 24
"""Where a bitmap says how many bits a pixel has, and the only number that is taken."""


def look(config: MachineConfig, options: Mapping[str, str]) -> None:
    """Keep the times, and what is wrong with the picture: that is said as the board is made. Raises Unprefixed."""
    for name in TIMES:
        if name in options:
            try:
                config.boot_times[name] = int(options[name])
            except ValueError:
                raise Unprefixed(f"Parameter 'boot.{name}' expects integer") from None
    if "splash" in options:
        config.splash_fault = _fault(options["splash"])


def _fault(path: str) -> str | None:
    if not os.access(path, os.R_OK):
        return f"failed to find file '{path}'"
    try:
        with open(path, "rb") as file:
            head = file.read(DEPTH_AT + 1)
    except OSError as error:
        return f"failed to read splash file '{path}': Error reading file “{path}”: {error.strerror}"
    if head.startswith(JPEG) or (head.startswith(BITMAP) and head[DEPTH_AT:] == bytes([DEPTH_BITS])):
        return None
    return f"splash file '{path}' format not recognized; must be JPEG or 24 bit BMP"
