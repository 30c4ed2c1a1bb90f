"""Memory back ends (memory-backend-*): what is refused of their properties, and which one the machine makes itself.

The order of refusals and their texts are measured on QEMU 7.2: properties, then the host's memory, then its nodes.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.host import Host

BEGINNING = "memory-backend-"
NODES_MOST = 128
NOT_ZERO = {"prealloc-threads": "property", "hugetlbsize": "Property", "size": "property"}


def defaults(config: MachineConfig) -> dict[str, object]:
    """What the machine's options say of memory whose object does not: `merge` with equal pages, `dump` into a core."""
    switches = config.switches
    asked = {"merge": switches.get("mem-merge"), "dump": switches.get("dump-guest-core")}
    asked["prealloc"] = config.memory_at_once or None
    return {name: value for name, value in asked.items() if value is not None}


def main(config: MachineConfig) -> dict[str, object]:
    """The one that the machine makes itself, as object-add takes it."""
    made: dict[str, object] = {
        "qom-type": f"{BEGINNING}{'ram' if config.memory_path is None else 'file'}",
        "id": "ram" if config.family == "none" else "pc.ram",
        "size": config.memory_bytes,
    }
    return made if config.memory_path is None else {**made, "mem-path": config.memory_path}


def check_values(kind: str, given: dict[str, object]) -> None:
    """What is refused as properties are set. Raises Refused."""
    for name in NOT_ZERO.keys() & given.keys():
        if given[name] == 0:
            of = f"'{kind}.{name}'" if name == "hugetlbsize" else f"'{name}' of {kind}"
            raise Refused(f"{NOT_ZERO[name]} {of} doesn't take value '0'")
    if given.get("prealloc") and given.get("reserve") is False:
        raise Refused("'prealloc=on' and 'reserve=off' are incompatible")
    wrong = next((node for node in _nodes(given) if node >= NODES_MOST), None)
    if wrong is not None:
        raise Refused(f"Invalid host-nodes value: {wrong}")


def take(given: dict[str, object], host: Host) -> None:
    """See that the host has the memory for it. Raises Refused."""
    nodes = _nodes(given)
    if given.get("size"):
        host.back_memory(given)
    _check_policy(str(given.get("policy", "default")), nodes, host)


def _nodes(given: dict[str, object]) -> list[int]:
    nodes = given.get("host-nodes", [])
    assert isinstance(nodes, list)
    return nodes


def _check_policy(policy: str, nodes: list[int], host: Host) -> None:
    if nodes and policy == "default":
        raise Refused(
            "host-nodes must be empty for policy default, or you should explicitly specify a policy other than default"
        )
    if policy != "default" and not nodes:
        raise Refused(f"host-nodes must be set for policy {policy}")
    if nodes and not host.has_nodes(nodes):
        raise Refused("cannot bind memory to host NUMA nodes: Invalid argument")
