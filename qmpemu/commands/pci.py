"""QAPI module `pci`."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command


@command("query-pci")
def query_pci(ctx: Context) -> object:
    """-> every PCI function by bus; what is behind a bridge is seen once firmware has numbered the buses."""
    return ctx.machine.plugging.pci.shown()
