"""NUMA nodes: -numa node, cpu, dist and the HMAT's, read once processors and memory are known, as by the real one.

Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError, split_items
from qmpemu.machine.devices.options import integer
from qmpemu.machine.devices.processors import LEVELS, Slots

SHAPES = {
    "node": {"nodeid": "uint16", "cpus": "", "mem": "size", "memdev": "", "initiator": "uint16"},
    "cpu": {"node-id": "int", **dict.fromkeys((*LEVELS, "cluster-id"), "int")},
    "dist": {"src": "uint16", "dst": "uint16", "val": "uint8"},
    "hmat-lb": dict.fromkeys("initiator target hierarchy data-type latency bandwidth".split(), ""),
    "hmat-cache": dict.fromkeys("node-id size level associativity policy line".split(), ""),
}
"""The parameters of each kind, and the kinds of those that are numbers."""
MOST_NODES = 128
NEAREST, LOCAL = 10, 10
NO_HMAT = (
    "ACPI Heterogeneous Memory Attribute Table (HMAT) is disabled, enable it with -machine hmat=on before using any of "
    "hmat specific options"
)
MISSING_NODE = "Source/Destination NUMA node is missing. Please use '-numa node' option to declare it first."
FIRST_WITHOUT_SIZES = (5, 1)
"""The first version of machine types whose nodes have memory back ends only."""


@option("numa")
def _numa(parser: Parser, argument: str) -> None:
    """The words; what they mean together is looked at by `finish`."""
    pairs = [item.partition("=")[::2] for item in split_items(argument)]
    kind = pairs[0][1] if pairs[0][0] == "type" else pairs[0][0]
    if kind not in SHAPES:
        raise OptionError(f"Parameter 'type' does not accept value '{kind}'")
    for name, value in pairs[1:]:
        wanted = SHAPES[kind].get(name)
        if wanted is None:
            raise OptionError(f"Invalid parameter '{name}'")
        if wanted:
            _number(name, wanted, value)
        if name == "cpus":
            _range(value)
    parser.numa.append((parser.typed, kind, pairs[1:]))
    parser.config.not_emulated.append(parser.typed)


def _number(name: str, kind: str, value: str) -> int:
    try:
        return integer(name, kind, value)
    except Refused as refused:
        text = str(refused).replace("expects integer", "expects a uint64 value")
        raise OptionError(text.replace("expects uint16_t", "expects a uint64 value")) from None


def _range(value: str) -> range:
    first, dash, last = value.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()) or int(last or first) < int(first):
        raise OptionError("Parameter 'cpus' expects a uint64 value or range")
    return range(int(first), int(last or first) + 1)


def finish(parser: Parser) -> None:
    """Put the nodes together. Raises OptionError, Unprefixed."""
    nodes = _Nodes(parser)
    for typed, kind, pairs in parser.numa:
        try:
            nodes.take(kind, pairs, typed)
        except OptionError as error:
            raise OptionError(f"{typed}: {error}") from None
    nodes.complete()


class _Nodes:
    """What the options have said so far."""

    def __init__(self, parser: Parser) -> None:
        self.config = parser.config
        self.slots = Slots()
        self.slots.topology = parser.config.topology
        self.bytes: dict[int, int] = {}
        self.distances: dict[tuple[int, int], int] = {}
        self.initiators: dict[int, int] = {}
        self.sized = False

    def take(self, kind: str, pairs: list[tuple[str, str]], typed: str) -> None:
        """One option. Raises OptionError."""
        if self.config.family == "none":
            raise OptionError("NUMA is not supported by this machine-type")
        given = dict(pairs)
        if kind.startswith("hmat") and not self.config.switches.get("hmat"):
            raise OptionError(NO_HMAT)
        if kind == "node":
            self._node(given, [value for name, value in pairs if name == "cpus"], typed)
        elif kind == "cpu":
            self._processor(given)
        elif kind == "dist":
            self._distance(given)

    def _node(self, given: dict[str, str], cpus: list[str], typed: str) -> None:
        config = self.config
        node = int(given["nodeid"], 0) if "nodeid" in given else len(config.numa_sizes)
        if node >= MOST_NODES:
            raise OptionError(f"Max number of NUMA nodes reached: {node}")
        if node in config.numa_sizes:
            raise OptionError(f"Duplicate NUMA nodeid: {node}")
        for each in cpus:
            self._assign(node, _range(each))
        if "initiator" in given and not config.switches.get("hmat"):
            raise OptionError(NO_HMAT)
        if "mem" in given and "memdev" in given:
            raise OptionError("cannot specify both mem= and memdev=")
        self._memory(node, given, typed)
        config.numa = True
        if "initiator" in given:
            self.initiators[node] = int(given["initiator"], 0)

    def _memory(self, node: int, given: dict[str, str], typed: str) -> None:
        config = self.config
        both = ("mem" in given and config.numa_memory) or ("memdev" in given and self.sized)
        if both:
            raise OptionError(
                "numa configuration should use either mem= or memdev=,mixing both is not allowed"
            )
        if "mem" in given:
            if not _takes_sizes(config.machine):
                raise OptionError(
                    "Parameter -numa node,mem is not supported by this machine type\nUse -numa node,memdev instead"
                )
            config.warnings.append(
                f"{typed}: warning: Parameter -numa node,mem is deprecated, use -numa node,memdev instead"
            )
        self.sized |= "mem" in given
        config.numa_sizes[node] = given.get("memdev", given.get("mem", ""))
        self.bytes[node] = _size(given["mem"]) if "mem" in given else 0
        if "memdev" in given:
            config.numa_memory = True
            found = next((each for each in config.objects if each.get("id") == given["memdev"]), None)
            if found is None:
                raise OptionError(f"memdev={given['memdev']} is ambiguous")
            self.bytes[node] = integer("size", "size", found.get("size", 0))

    def _assign(self, node: int, indexes: range) -> None:
        known = self.config.numa_nodes
        for index in indexes:
            if index >= self.slots.count:
                raise OptionError(f"CPU index ({index}) should be smaller than maxcpus ({self.slots.count})")
            if known.get(index, node) != node:
                raise OptionError(f"CPU is already assigned to node-id: {known[index]}")
            known[index] = node

    def _processor(self, given: dict[str, str]) -> None:
        if "node-id" not in given:
            raise OptionError("Missing mandatory node-id property")
        node = int(given["node-id"], 0)
        if node not in self.config.numa_sizes:
            raise OptionError(
                f"Invalid node-id={node}, NUMA node must be defined with -numa node,nodeid=ID before it's used with "
                "-numa cpu,node-id=ID"
            )
        asked = {name: int(value, 0) for name, value in given.items() if name != "node-id"}
        found = [
            index for index in range(self.slots.count) if asked.items() <= self.slots.props(index).items()
        ]
        if not found:
            raise OptionError("no match found")
        for index in found:
            self._assign(node, range(index, index + 1))

    def _distance(self, given: dict[str, str]) -> None:
        source, target, value = (int(given.get(name, "0"), 0) for name in ("src", "dst", "val"))
        if not {source, target} <= self.config.numa_sizes.keys():
            raise OptionError(MISSING_NODE)
        if value < NEAREST:
            raise OptionError(f"NUMA distance ({value}) is invalid, it shouldn't be less than {NEAREST}.")
        if source == target and value != LOCAL:
            raise OptionError(f"Local distance of node {source} should be {LOCAL}.")
        self.distances[source, target] = value

    def complete(self) -> None:
        """Whether nodes, memory and distances are whole. Raises Unprefixed."""
        sizes = self.config.numa_sizes
        for node in range(max(sizes, default=-1), -1, -1):
            if node not in sizes:
                raise Unprefixed(f"numa: Node ID missing: {node}")
        total = sum(self.bytes.values())
        if total != self.config.memory_bytes:
            raise Unprefixed(
                f"total memory for NUMA nodes ({total:#x}) should equal RAM size ({self.config.memory_bytes:#x})"
            )
        names = [name for name in sizes.values() if name and self.config.numa_memory]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise Unprefixed(f"memory backend {twice} can't be used multiple times.")
        self._complete_initiators()
        self._complete_distances()
        self._tell_of_missing()

    def _complete_initiators(self) -> None:
        known = self.config.numa_nodes
        for node, initiator in self.initiators.items():
            has_processor = node in known.values() if known else node < self.slots.count
            if has_processor and initiator != node:
                raise Unprefixed(f"The initiator of CPU NUMA node {node} should be itself (got {initiator})")

    def _complete_distances(self) -> None:
        known = self.distances
        for source in sorted(self.config.numa_sizes) if known else ():
            for target in sorted(self.config.numa_sizes):
                if source < target and not {(source, target), (target, source)} & known.keys():
                    raise Unprefixed(
                        f"The distance between node {source} and {target} is missing, at least one distance value "
                        "between each nodes should be provided."
                    )

    def _tell_of_missing(self) -> None:
        known = self.config.numa_nodes
        missing = [index for index in range(self.slots.count) if index not in known]
        if not known or not missing:
            return
        places = ", ".join(f"CPU {index} [{self._place(index)}]" for index in missing)
        self.config.warnings += [
            f"warning: CPU(s) not present in any NUMA nodes: {places}",
            "warning: All CPU(s) up to maxcpus should be described in NUMA config, ability to start up with partial "
            "NUMA mappings is obsoleted and will be removed in future",
        ]

    def _place(self, index: int) -> str:
        props = self.slots.props(index)
        return ", ".join(f"{name}: {props[name]}" for name in LEVELS if name in props)


def _takes_sizes(machine: str) -> bool:
    version = machine.rpartition("-")[2].split(".")
    return (int(version[0]), int(version[1])) < FIRST_WITHOUT_SIZES


def _size(text: str) -> int:
    """A size in MiB unless it says otherwise."""
    return integer("mem", "size", f"{text}M" if text.isdigit() else text)
