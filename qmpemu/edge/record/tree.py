"""Records an object tree, a bare machine's or a device's: properties, children, and the values that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

from qmpemu.machine.config import NO_UUID

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

HOST_SIDE = "/chardevs"
"""Character devices are the recorder's own."""
RANDOM = "guid"
"""A generation id is drawn anew for each machine; nobody's stands for it."""
TIME_OF_DAY = "struct tm"
"""The clock's time differs from run to run."""


async def tree(client: QMPClient, top: str = "/") -> dict[str, Any]:
    """Path -> `rows` (qom-list's, in order), `values`, and `errors` for what cannot be read, from `top` on down."""
    found: dict[str, Any] = {}
    paths = [top]
    for path in paths:
        rows: Any = await client.execute("qom-list", {"path": path})
        values: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for row in rows:
            name, child = row["name"], f"{path.rstrip('/')}/{row['name']}"
            if child == HOST_SIDE or row["type"] == TIME_OF_DAY:
                continue
            if row["type"].startswith("child<"):
                paths.append(child)
                continue
            if name == RANDOM:
                values[name] = NO_UUID
                continue
            try:
                values[name] = await client.execute("qom-get", {"path": path, "property": name})
            except ExecuteError as error:
                errors[name] = str(error)
        found[path] = {
            "rows": [[row["name"], row["type"]] for row in rows],
            "values": values,
            "errors": errors,
        }
    return found
