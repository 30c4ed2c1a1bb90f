"""Records the properties of every type of object, by qom-list-properties.

One file: `rows`, each property as it is told of; `lists`, the numbers of rows that types have; `types`, the number of
each one's list; `refused`, types that are interfaces, and the text for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qemu.qmp.qmp_client import ExecuteError

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

DEADLY = (
    *("colo-compare", "microvm-machine", "qio-net-listener", "x-remote-object"),
    *("virtio-gpu-gl-device", "virtio-gpu-gl-pci", "virtio-vga-gl"),
)
"""Asked for the properties of these, QEMU 7.2 dies."""


async def type_properties(client: QMPClient) -> dict[str, Any]:
    """All of them; asking for the list of types loads what is in modules."""
    known: Any = await client.execute("qom-list-types", {"abstract": True})
    rows: dict[str, tuple[int, Any]] = {}
    lists: list[list[int]] = []
    types: dict[str, int] = {}
    refused: dict[str, list[str]] = {}
    for name in sorted(row["name"] for row in known if row["name"] not in DEADLY):
        try:
            told: Any = await client.execute("qom-list-properties", {"typename": name})
        except ExecuteError as error:
            refused.setdefault(str(error), []).append(name)
            continue
        numbers = [rows.setdefault(str(sorted(row.items())), (len(rows), row))[0] for row in told]
        lists += [numbers] if numbers not in lists else []
        types[name] = lists.index(numbers)
    return {"rows": [row for _, row in rows.values()], "lists": lists, "types": types, "refused": refused}
