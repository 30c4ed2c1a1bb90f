"""Records what older machine types have otherwise: a processor's properties that differ from the newest type's.

One file for all: machine type -> `all` (properties of every model) and the model that was measured (features that such
a model had, or had not, at the time), each property -> value. Another: which features each model lacks there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

MODEL = "qemu64"
LEVELS = frozenset({"level", "xlevel", "xlevel2"})
"""They follow from the model's features."""
NEWEST = {"pc-q35-": "q35", "pc-i440fx-": "pc"}
"""Machine types that have versions, and the alias of each newest."""


def newest(machine: str) -> str:
    """The alias of the newest type of its family."""
    return next(alias for start, alias in NEWEST.items() if machine.startswith(start))


async def machine_types(client: QMPClient) -> list[str]:
    """Every type that has versions, sorted."""
    rows: Any = await client.execute("query-machines")
    return sorted(row["name"] for row in rows if row["name"].startswith(tuple(NEWEST)))


async def features(client: QMPClient) -> frozenset[str]:
    """Properties that are a model's own features."""
    asked = {"type": "static", "model": {"name": "max"}}
    expanded: Any = await client.execute("query-cpu-model-expansion", asked)
    return frozenset(expanded["model"]["props"]) | LEVELS


async def properties(client: QMPClient, order: list[str]) -> dict[str, Any]:
    """What the model's properties are in a machine of this type, those of `order`, in that order.

    Asked for at once: read from the machine's own processor, one by one, they are the same and take a minute
    """
    asked = {"type": "full", "model": {"name": MODEL}}
    expanded: Any = await client.execute("query-cpu-model-expansion", asked)
    told = expanded["model"]["props"]
    return {name: told[name] for name in order if name in told}


async def lacking(client: QMPClient) -> dict[str, Any]:
    """Each model's features that it asks for in vain in a machine of this type."""
    rows: Any = await client.execute("query-cpu-definitions")
    return {row["name"]: row.get("unavailable-features", []) for row in rows}


def otherwise(lacking: dict[str, Any], machines: list[str]) -> dict[str, Any]:
    """Where that is not as in the newest type. -> `sets`: model -> features; `machines`: name -> number of its set."""
    sets: list[Any] = []
    found = {}
    for name in machines:
        usual = lacking[newest(name)]
        changed = {model: absent for model, absent in lacking[name].items() if absent != usual[model]}
        if changed:
            sets += [changed] if changed not in sets else []
            found[name] = sets.index(changed)
    return {"sets": sets, "machines": found}


def differences(
    values: dict[str, Any], usual: dict[str, Any], own: frozenset[str]
) -> dict[str, dict[str, Any]]:
    """What of `values` is not as in the newest type; own: names of features."""
    changed = {name: value for name, value in values.items() if usual.get(name) != value}
    return {
        "all": {name: value for name, value in changed.items() if name not in own},
        MODEL: {name: value for name, value in changed.items() if name in own},
    }
