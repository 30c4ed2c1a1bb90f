"""Records what the options that have a list to show print when they are asked for `help`: option -> text."""

from __future__ import annotations

from qmpemu.edge.record.process import output

ASKED = {
    "accel": "help",
    "audiodev": "help",
    "boot": "help",
    "chardev": "help",
    "cpu": "help",
    "device": "help",
    "display": "help",
    "drive": "format=help",
    "machine": "help",
    "netdev": "help",
    "nic": "model=help",
    "object": "help",
    "smp": "help",
}
"""Option -> how its list is asked for."""
MODULE = "qemu: module "
"""Begins a line on standard error about what is not installed, which belongs to no list."""


async def helps(binary: str) -> dict[str, str]:
    """Every list. Raises RecordError."""
    found = {}
    for name, word in ASKED.items():
        display = () if name == "display" else ("-display", "none")
        said = await output(binary, *display, f"-{name}", word)
        lines = said.splitlines(keepends=True)
        found[name] = "".join(line for line in lines if not line.startswith(MODULE))
    return found
