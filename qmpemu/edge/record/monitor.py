"""Records what the human monitor lists: a verb that is not emulated is not one that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

KINDS = {"verbs": "", "info": "info "}
"""Kind of a listing -> what stands before each name in it."""


async def monitor_commands(client: QMPClient) -> dict[str, dict[str, str]]:
    """`verbs` and `info`: names, aliases joined by `|`, and what help says of them; lines end in CRLF.

    `log`: help of that verb, which tells its items.
    """
    listed = {kind: await _entries(client, before) for kind, before in KINDS.items()}
    return {**listed, "log": {"help": await _said(client, "help log")}}


async def _entries(client: QMPClient, before: str) -> dict[str, str]:
    """Each line of a listing may continue another's text: only what help knows is a name."""
    found: dict[str, str] = {}
    for line in (await _said(client, f"help {before}".rstrip())).splitlines():
        names = line.removeprefix(before).partition(" ")[0]
        if not names or not line.startswith(before):
            continue
        text = await _said(client, f"help {before}{names.partition('|')[0]}")
        if text.startswith(f"{before}{names} "):
            found[names] = text
        elif " -- " in line and not text.startswith(
            "unknown command"
        ):  # help of `log` tells its items instead
            found[names] = f"{line}\r\n"
    return found


async def _said(client: QMPClient, line: str) -> str:
    said: Any = await client.execute("human-monitor-command", {"command-line": line})
    return str(said)
