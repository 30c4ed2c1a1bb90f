"""Records what each processor model has: one expansion per model of one machine, which needs no start for each.

One file per accelerator: model -> properties in which it differs from the default model. Features that the accelerator
has none of are off, as in a processor that was made; they stand in `unavailable-features`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

DEFAULT = "qemu64"
ALIASES = {
    "ffxsr": "fxsr-opt",
    "i64": "lm",
    "pclmuldq": "pclmulqdq",
    "sse4-1": "sse4.1",
    "sse4-2": "sse4.2",
    "xd": "nx",
}
"""Properties that are another name of a feature; those that only differ in `-` and `_` need no list."""


async def models(client: QMPClient) -> dict[str, dict[str, Any]]:
    """Every model by name; `client` talks to a machine of a type that has versions."""
    rows: Any = await client.execute("query-cpu-definitions")
    lacking = {row["name"]: row.get("unavailable-features", []) for row in rows}
    default = await _made(client, DEFAULT, lacking[DEFAULT])
    found = {}
    for name in sorted(lacking):
        made = await _made(client, name, lacking[name])
        found[name] = {prop: value for prop, value in made.items() if default.get(prop) != value}
    return found


async def _made(client: QMPClient, model: str, lacking: list[str]) -> dict[str, Any]:
    expanded: Any = await client.execute(
        "query-cpu-model-expansion", {"type": "full", "model": {"name": model}}
    )
    values = expanded["model"]["props"]
    for name in lacking:
        values.update({each: False for each in (name, name.replace("-", "_")) if each in values})
    values.update({alias: values[name] for alias, name in ALIASES.items() if {alias, name} <= values.keys()})
    return {**values, "unavailable-features": lacking}
