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
AT_ONCE = "'prealloc=on' and 'reserve=off' are incompatible"
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
        raise Refused(AT_ONCE)
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


# --- once it is there -------------------------------------------------------------------------------------------------

SWITCHES = (
    "merge",
    "dump",
    "prealloc",
    "x-use-canonical-path-for-ramblock-id",
    "discard-data",
    "hugetlb",
    "seal",
)
STAYING = {
    "align": ("int", "cannot change property 'align' of {}"),
    "hugetlbsize": ("int", "cannot change property value"),
    "mem-path": ("string", "cannot change property 'mem-path' of {}"),
    "pmem": ("bool", "cannot change property 'pmem' of {}."),
    "readonly": ("bool", "cannot change property 'readonly' of {}."),
    "reserve": ("bool", "cannot change property value"),
    "share": ("bool", "cannot change property value"),
    "size": ("int", "cannot change property size of {} "),
}
"""What stays as it was made: its kind, and what is said; a number is not looked at before."""
POLICIES = ("default", "preferred", "bind", "interleave")
UINT32_MOST = 2**32 - 1


def can_be_set(kind: str, name: str) -> bool:
    """Whether it is a property of a back end of that type that somebody may set, or try to."""
    known = name in STAYING or name in SWITCHES or name in ("policy", "prealloc-threads", "host-nodes")
    return kind.startswith(BEGINNING) and known


def changed(kind: str, values: dict[str, object], name: str, value: object) -> object:
    """The value that a property has after it was set while the machine is there. Raises Refused."""
    if name in STAYING:
        wanted, text = STAYING[name]
        if wanted != "int":
            _must_be(name, value, wanted)
        raise Refused(text.format(kind))
    if name in SWITCHES:
        _must_be(name, value, "bool")
        if name == "prealloc" and value and values.get("reserve") is False:
            raise Refused(AT_ONCE)
        return value or (name == "prealloc" and values[name])
    if name == "policy":
        _must_be(name, value, "string")
        if value not in POLICIES:
            raise Refused(f"Parameter 'policy' does not accept value '{value}'")
        return value
    if name == "prealloc-threads":
        return _threads(kind, value)
    assert name == "host-nodes", name
    return _more_nodes(values, value)


def _threads(kind: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("Parameter 'prealloc-threads' expects uint64")
    if not 0 <= value <= UINT32_MOST:
        raise Refused("Parameter 'prealloc-threads' expects uint32_t")
    check_values(kind, {"prealloc-threads": value})
    return value


def _more_nodes(values: dict[str, object], value: object) -> list[int]:
    """Nodes are added to those that it has."""
    if not isinstance(value, list):
        raise Refused("Invalid parameter type for 'host-nodes', expected: array")
    for place, each in enumerate(value):
        if isinstance(each, bool) or not isinstance(each, int) or each < 0:
            raise Refused(f"Parameter 'host-nodes[{place}]' expects uint64")
    check_values(BEGINNING, {"host-nodes": value})
    return sorted({*_nodes(values), *value})


NAMES = {"bool": "boolean"}


def _must_be(name: str, value: object, wanted: str) -> None:
    if not isinstance(value, bool if wanted == "bool" else str):
        raise Refused(f"Invalid parameter type for '{name}', expected: {NAMES.get(wanted, wanted)}")
