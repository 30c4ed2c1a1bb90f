"""Records the names of the human monitor's commands: a verb that is not emulated is not one that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qemu.qmp import QMPClient


async def monitor_commands(client: QMPClient) -> dict[str, list[str]]:
    """`verbs` and `info`: names as they are listed, aliases joined by `|`."""
    return {
        "verbs": [line.split()[0] for line in await _lines(client, "help")],
        "info": [line.split()[1] for line in await _lines(client, "info")],
    }


async def _lines(client: QMPClient, line: str) -> list[str]:
    """The output without the continuations of a text, which are indented."""
    said: Any = await client.execute("human-monitor-command", {"command-line": line})
    return [row for row in said.splitlines() if row.strip() and not row.startswith((" ", "\t"))]
