"""A processor as the object tree shows it: its model's properties, what -cpu asks for, where it is.

Its properties are recorded for a CPU model (`profile`: cpu). Sources: facts/libvirt.md §2b.
"""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.machine.onboard import UNATTACHED, processor_name
from qmpemu.machine.qom import Object, recorded_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile


def processor(config: MachineConfig, profile: Profile, index: int = 0, path: str = "") -> Object:
    """One processor of the machine's model, with its interrupt controller. path: where it stands once plugged in."""
    about = profile.cpu(config.accel, config.cpu)
    made = Object(f"{config.cpu}-x86_64-cpu")
    for row in about["properties"]:
        if not row["type"].startswith("child<"):
            made.properties[row["name"]] = row["type"]
    made.order = [row["name"] for row in about["properties"]]
    made.values.update(about["values"])
    asked: dict[str, Any] = {"type": "static", "model": {"name": config.cpu}}
    expanded = profile.reply("none", config.accel, "query-cpu-model-expansion", asked)
    if isinstance(expanded, bytes):  # the model's own features, where they were recorded (host, max)
        made.values.update(loads(expanded)["model"].get("props", {}))
    made.values.update(profile.of_version(config.machine, config.cpu))
    _ask_for(made, config, profile)
    _fit_out(made, config, profile, index, path or f"{UNATTACHED}/{processor_name(index)}")
    made.values.update(_place(config, index))
    made.values |= {name: value for name, value in OF_BOARD.items() if name in made.properties}
    made.unreadable = {name: text.format(made.type_name) for name, text in UNREADABLE.items()}
    return made


OF_BOARD = {"parent_bus": "", "memory": "/machine/unattached/system[0]"}
UNREADABLE = {
    "legacy-memory": "Property '{}.legacy-memory' is not readable",
    "crash-information": "No crash occurred",
}


def _own(part: Object, index: int, path: str) -> Object:
    """A part of a processor other than the first: its memory is in that one's own."""
    if index:
        own = f"{path}/"
        for name, value in part.values.items():
            if isinstance(value, str) and value.startswith(FIRST):
                part.values[name] = own + value.removeprefix(FIRST)
        if part.values.get("addr") == INTERRUPTS:  # the first one's stands for all
            part.values.update({"container": "", "addr": 0, "priority": 0})
    return part


INTERRUPTS = 0xFEE0_0000


def _place(config: MachineConfig, index: int) -> dict[str, object]:
    """Where a processor is, by the levels of the topology."""
    from qmpemu.machine.devices.processors import Slots

    slots = Slots()
    slots.topology = config.topology
    place = slots.props(index)
    where = [int(str(place.get(name, 0))) for name in ("socket-id", "die-id", "core-id", "thread-id")]
    nodes = config.numa or config.has_node
    node = {"node-id": config.numa_nodes.get(index, 0)} if nodes else {}
    return {"die-id": 0, **place, **node, "apic-id": slots.apic_id(where)}


def _ask_for(made: Object, config: MachineConfig, profile: Profile) -> None:
    """What -cpu asks for beside the model: a feature that the accelerator has none of stays off, and is told of."""
    asked = {name: value for name, value in config.cpu_features.items() if name in made.properties}
    features = [name for name in asked if not name.startswith(NO_FEATURES)]
    most = profile.cpu(config.accel, "max")["values"] if features else {}
    lacking: Any = made.values.get("unavailable-features")
    more = False
    for name, value in asked.items():
        lacks = name in features and value is True and most.get(name) is False
        for each in {name, *_spellings(name)} & made.properties.keys():
            made.values[each] = False if lacks else value
        if isinstance(lacking, list):
            tells = lacks and (config.accel == "kvm" or name.replace("_", "-") not in PARAVIRTUAL)
            told = [name] if tells else []
            lacking = [each for each in lacking if each != name] + told
            more = more or bool(told)
    if lacking is not None:
        made.values["unavailable-features"] = _in_order(lacking, profile) if more else lacking


def _spellings(name: str) -> tuple[str, str, str]:
    """`sse4.1` is `sse4-1` and `sse4_1` too."""
    plain = name.replace("_", "-").replace(".", "-")
    return plain, plain.replace("-", "_"), plain.replace("-", ".")


def _in_order(lacking: list[str], profile: Profile) -> list[str]:
    """By register and bit, as far as TCG's list knows them; others behind."""
    places = {text.partition(" ")[0].rpartition(".")[2]: at for at, text in enumerate(profile.lacking())}
    return sorted(lacking, key=lambda name: places.get(name, len(places)))


PARAVIRTUAL = (
    "kvm-poll-control",
    "kvm-pv-eoi",
    "kvm-pv-unhalt",
    "kvm-pv-ipi",
    "kvm-steal-time",
    "kvm-asyncpf",
)
"""Features of KVM's own, which another accelerator passes over in silence."""
NO_FEATURES = (
    "hv-",
    "x-",
    "enforce",
    "check",
    "host-phys-bits",
    "host-cache-info",
    "full-width-write",
    "l3-cache",
    "migratable",
    "pmu",
)
"""Beginnings of a processor's switches that are no features of the processor."""

FIRST = f"{UNATTACHED}/device[0]/"


def _fit_out(made: Object, config: MachineConfig, profile: Profile, index: int, home: str) -> None:
    """What a processor brings along, as recorded of the first one."""
    family = config.family if config.family != "none" else "pc"
    for path, about in profile.tree(family, accel=config.accel).items():
        if path.startswith(FIRST):
            *above, name = path.removeprefix(FIRST).split("/")
            here = made.children[above[0]] if above else made
            here.children[name] = _own(recorded_object(about, None), index, home)
    controller = made.children["lapic"]
    controller.values["id"] = index
    if config.accel == "kvm":
        controller.type_name = controller.values["type"] = "kvm-apic"
