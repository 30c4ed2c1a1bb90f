"""Which commands the real binary allows under --preconfig, before x-exit-preconfig.

Each is asked with a member that no command has. The refusal for the machine's state comes before the arguments are
looked at, and one for the arguments before anything is done: so every command can be asked without any effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

UNKNOWN_MEMBER = "qmpemu-asks"
TOO_EARLY = "is permitted only after machine initialization has completed"


async def allowed(client: QMPClient, schema: list[dict[str, Any]]) -> list[str]:
    """The names, sorted; `client` speaks to an emulator that waits for x-exit-preconfig."""
    names = []
    for name in sorted(info["name"] for info in schema if info["meta-type"] == "command"):
        try:
            await client.execute(name, {UNKNOWN_MEMBER: 0})
        except ExecuteError as error:
            if TOO_EARLY in str(error):
                continue
        names.append(name)
    return names
