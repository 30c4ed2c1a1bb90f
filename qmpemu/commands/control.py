"""QAPI module `control`: version, the list of commands, quit. (Negotiation belongs to `qmp.session`.)"""

from __future__ import annotations

from qmpemu.commands.registry import Context, command


@command("query-version")
def query_version(ctx: Context) -> object:
    """-> {"qemu": {"major": 7, ...}, "package": ...} of the profile."""
    return {"qemu": ctx.profile.version, "package": ctx.profile.package}


@command("quit")
def quit_(ctx: Context) -> object:
    """End the process whatever the guest does: a forced shutdown (mission S1). No -action changes that."""
    ctx.machine.board.request_shutdown(guest=False, reason="host-qmp-quit")
    return {}
