"""The object tree as far as clients walk it: the machine, devices by id, processors, user-created objects.

The bare machine is the recorded one; what was added to it stands in it as `devices.shown` shows it. A processor's
properties are recorded for a CPU model (`profile`: cpu). Sources: facts/libvirt.md §2b.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.ghash import Table, listed
from qmpemu.machine.onboard import UNATTACHED, Numbers, arrange, order_objects, processor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from qmpemu.machine.chardev import Chardev
    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile

WITHIN = ("virtio-backend", "xhci-core", "serial")
"""Devices that others are made of, whose properties are seen in those."""
ACPI_NUMBER = "acpi-pcihp-bsel"
OF_PM = frozenset(("acpi-device", ACPI_NUMBER))
"""Properties that power management registers bring to the board and to its bus."""
ACPI = ("ICH9-LPC", "PIIX4_PM")
"""Types of the board's devices that have ACPI's registers."""
FIXED = frozenset({"type", "parent_bus", "hotplugged", "hotpluggable", "legacy-addr", "attached"})
"""Properties of a device that nobody ever sets."""


ROOT = ("machine", "chardevs", "objects")
"""What stands below the root, in the order of its making."""


class NotFound(Exception):
    """No object at a path. The text is the path."""


class Ambiguous(Exception):
    """Several objects at a path that is not from the root. The text is the path."""


class Object:
    """One object: type name, properties (name -> type), values, children (name -> object)."""

    __slots__ = (
        "children",
        "getters",
        "order",
        "properties",
        "setters",
        "table",
        "type_name",
        "unreadable",
        "values",
        "writable",
    )

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        self.properties: dict[str, str] = {"type": "string"}
        self.values: dict[str, object] = {"type": type_name}
        self.children: dict[str, Object] = {}
        self.table: Table | None = None
        """Where children stand once one was taken out; until then that follows from their order."""
        self.order: list[str] | None = None
        """A recorded order of properties and children; without one it is that of the hash table."""
        self.unreadable: dict[str, str] = {}
        """The recorded texts of properties that cannot be read."""
        self.getters: dict[str, Callable[[], object]] = {}
        """Where values of properties come from that change by themselves."""
        self.writable: frozenset[str] = frozenset()
        """Properties that may be set while the machine runs."""
        self.setters: dict[str, Callable[[object], object]] = {}
        """What setting a property does, where more than its value changes; each may raise Refused."""

    def set_boot_index(self, value: int) -> None:
        """Set its place among what is booted from, which may be changed."""
        for each in {self, self._owner("bootindex")}:
            each.values["bootindex"] = value

    def _owner(self, name: str) -> Object:
        """Whose a property is that is set here: often that of the device behind a bus or within."""
        inner = (self.children.get(each) for each in WITHIN)
        return next((each for each in inner if each is not None and name in each.properties), self)

    def lose(self, names: frozenset[str]) -> None:
        """Properties that it does not have here."""
        for name in names & self.properties.keys():
            del self.properties[name]
            self.values.pop(name, None)
        if self.order is not None:
            self.order = [name for name in self.order if name not in names]

    @property
    def is_device(self) -> bool:
        """Whether it is a device."""
        return "hotpluggable" in self.properties

    def listing(self) -> list[dict[str, str]]:
        """The object as qom-list shows it."""
        kinds = dict(self.properties)
        kinds.update((name, f"child<{child.type_name}>") for name, child in self.children.items())
        children = listed(self.children) if self.table is None else self.table.names()
        known = self.order or [*self.properties, *children]
        names = [name for name in known if name in kinds]
        names += [name for name in kinds if name not in names]
        return [{"name": name, "type": kinds[name]} for name in names]

    def get(self, name: str, path: str) -> object:
        """A property's value; a child's is its path. Raises Refused."""
        if name in self.children:
            return f"{path.rstrip('/')}/{name}"
        if name in self.unreadable:
            raise Refused(self.unreadable[name])
        if name in self.getters:
            return self.getters[name]()
        if name not in self.values:
            raise Refused(f"Property '{self.type_name}.{name}' not found")
        return self.values[name]

    def set(self, name: str, value: object, device_id: str | None) -> None:
        """Set a property. device_id: None for a device without an id. Raises Refused."""
        if name not in self.properties and name not in self.children:
            raise Refused(f"Property '{self.type_name}.{name}' not found")
        if name in FIXED or name in self.children:
            raise Refused(f"Property '{self.type_name}.{name}' is not writable")
        if name not in self.writable:
            owner = self._owner(name)
            device = f"device '{device_id}'" if device_id and owner is self else "anonymous device"
            link = "link " if self.properties[name].startswith("link<") else ""
            if link and device == "anonymous device":
                device = "device '(null)'"
            raise Refused(
                f"Attempt to set {link}property '{name}' on {device} (type '{owner.type_name}') "
                "after it was realized"
            )
        if name in self.setters:
            self.setters[name](value)
        self.values[name] = value


class Tree:
    """The tree of one machine, built at first need: the recorded one of a bare machine, and what was added to it.

    shown: what was added, path -> object, each below one that is there. links: which of it is on which bus (`link`).
    """

    __slots__ = ("root",)

    def __init__(
        self,
        config: MachineConfig,
        profile: Profile,
        chardevs: Iterable[Chardev],
        shown: Iterable[tuple[str, Object]],
        links: Iterable[tuple[str, int, str, str]],
        *,
        preconfig: bool,
    ) -> None:
        made = recorded(config, profile, preconfig=preconfig)
        if config.globals:
            from qmpemu.machine.devices.globals import shown as globally

            globally(made.values(), config.globals)
        if config.family != "none" and not preconfig:
            from qmpemu.machine import memory_layout

            memory_layout.show(made, config, Object)
        for path, each in made.items():
            parent, _, name = path.rpartition("/")
            if name:
                made[parent or "/"].children[name] = each
        self.root = made["/"]
        known = self.root.children
        self.root.children = {name: known[name] for name in ROOT if name in known} | known
        machine = self._child(self.root, "machine", f"{config.machine}-machine")
        machine.values["type"] = machine.type_name = f"{config.machine}-machine"
        if config.main_memory is not None or config.numa_memory:
            self.root.children.pop("objects", None)  # the default back end is not made then
        machine.values.update({**config.switches, **config.choices})
        machine.values.update(config.flash)
        machine.properties.update(dict.fromkeys(config.flash, "str"))
        machine.values.update(machine_values(config, machine))
        for chardev in chardevs:
            self.graft(f"/chardevs/{chardev.label}", Object(f"chardev-{chardev.backend}"))
        for path, made_later in shown:
            if path.startswith("/objects/") or not preconfig:  # devices are made when it ends
                self.graft(path, made_later)
        order_objects(self.root, config)
        if preconfig:
            return
        for bus, number, kind, device in links:
            self.link(bus, number, kind, device)
        self._child(machine, "peripheral")
        self._child(machine, "peripheral-anon")
        from qmpemu.machine.qom_processor import processor

        _number_board(self.root, config)
        for index in range(config.cpus if config.family != "none" else 0):
            self.graft(f"{UNATTACHED}/{processor_name(index)}", processor(config, profile, index))
        arrange(machine, config, profile)

    def graft(self, path: str, made: Object) -> None:
        """Put an object with all below it at `path`."""
        parent, _, name = path.rpartition("/")
        here = self.root
        for part in parent.split("/")[1:]:
            here = self._child(here, part)
        here.children[name] = made
        if here.table is not None:
            here.table.insert(name)

    def link(self, bus: str, number: int, kind: str, path: str) -> None:
        """A device is on a bus, the number-th that ever was; negative for the next one."""
        found = _below(self.root, [part for part in bus.split("/") if part])
        if found is None:
            return
        if number < 0:
            number = 1 + max((_number(name) for name in found.properties if name[:6] == "child["), default=-1)
        found.properties[f"child[{number}]"], found.values[f"child[{number}]"] = f"link<{kind}>", path
        found.order = self._bus_order(found)

    def _bus_order(self, bus: Object) -> list[str]:
        """ACPI numbers a bus behind the devices that are on it at the start."""
        first: list[str] = []
        later: list[str] = []
        for name in sorted((name for name in bus.properties if name[:6] == "child["), key=_number):
            child = _below(self.root, [part for part in str(bus.values[name]).split("/") if part])
            (later if child is not None and child.values.get("hotplugged") else first).append(name)
        acpi = [name for name in (ACPI_NUMBER,) if name in bus.properties]
        return ["type", *listed(["hotplug-handler", "realized", *first, *acpi, *later])]

    def unlink(self, bus: str, number: int) -> None:
        """It is there no more."""
        found = _below(self.root, [part for part in bus.split("/") if part])
        if found is not None:
            found.properties.pop(f"child[{number}]", None)
            found.values.pop(f"child[{number}]", None)

    def prune(self, path: str) -> None:
        """Remove the object at `path`, if it is there."""
        parent, _, name = path.rpartition("/")
        found = _below(self.root, [part for part in parent.split("/") if part])
        if found is None or name not in found.children:
            return
        if found.table is None:
            found.table = Table()
            for each in found.children:
                found.table.insert(each)
        found.table.remove(name)
        del found.children[name]

    def find(self, path: str) -> tuple[str, Object]:
        """The object at a path, and its path from the root. Raises NotFound, Ambiguous."""
        parts = [part for part in path.split("/") if part]
        if path.startswith("/"):
            found = _below(self.root, parts)
            if found is None:
                raise NotFound(path)
            return "/" + "/".join(parts), found
        matches = list(self._partial(self.root, "", parts))
        if len(matches) > 1:
            raise Ambiguous(path)
        if not matches:
            raise NotFound(path)
        return matches[0]

    def _partial(self, start: Object, path: str, parts: list[str]) -> Iterator[tuple[str, Object]]:
        """Every place from which `parts` lead somewhere."""
        found = _below(start, parts)
        if found is not None:
            yield path + "".join(f"/{part}" for part in parts), found
        for name, child in start.children.items():
            yield from self._partial(child, f"{path}/{name}", parts)

    def contain(self, name: str) -> None:
        """See that the root has a container of that name."""
        self._child(self.root, name)

    def _child(self, parent: Object, name: str, type_name: str = "container") -> Object:
        return parent.children.setdefault(name, Object(type_name))


def _number_board(root: Object, config: MachineConfig) -> None:
    """The board's own devices are on their buses in the order in which they were made, which their paths tell."""
    if not config.onboard:
        return
    for bus in _buses(root):
        names = sorted((name for name in bus.properties if name[:6] == "child["), key=_number)
        own = [name for name in names if str(bus.values[name]).startswith(f"{UNATTACHED}/device[")]
        rows = [(bus.properties[name], bus.values[name]) for name in own]
        rows.sort(key=lambda row: int(str(row[1]).removeprefix(f"{UNATTACHED}/device[").partition("]")[0]))
        for name, (kind, path) in zip(own, rows, strict=True):
            bus.properties[name], bus.values[name] = kind, path


def _buses(start: Object) -> Iterator[Object]:
    if "hotplug-handler" in start.properties:
        yield start
    for child in start.children.values():
        yield from _buses(child)


def machine_values(config: MachineConfig, machine: Object) -> dict[str, object]:
    """What the machine tells of memory, processors and the display."""
    sockets, dies, cores, threads = config.topology
    memory: dict[str, object] = {"size": config.memory_bytes}
    if config.memory_slots:
        memory |= {"max-size": config.memory_most_bytes, "slots": config.memory_slots}
    found: dict[str, object] = {"memory": memory}
    if config.family != "none":
        found["smp"] = {
            "clusters": 1,
            "sockets": sockets,
            "dies": dies,
            "cores": cores,
            "threads": threads,
            "maxcpus": config.cpus_max,
            "cpus": config.cpus,
        }
    if config.main_memory is not None or config.numa_memory:
        found["memory-backend"] = f"/objects/{config.main_memory}" if config.main_memory else ""
    if "graphics" in machine.properties:
        found["graphics"] = config.switches.get("graphics", not config.nographic)
    return found


def recorded(
    config: MachineConfig,
    profile: Profile,
    *,
    preconfig: bool,
    wanted: Callable[[dict[str, Any]], bool] | None = None,
) -> dict[str, Object]:
    """The bare machine's objects by path, the board's own devices numbered behind the machine's processors.

    wanted: which of them, by their values; each that is made costs a start some 30 us.
    """
    tree = profile.tree(config.family, accel=config.accel, preconfig=preconfig)
    numbers = Numbers(config, profile, None if preconfig else tree)
    made = {
        numbers.moved(path): recorded_object(about, numbers)
        for path, about in tree.items()
        if (wanted is None or wanted(about["values"])) and not numbers.is_absent(path)
    }
    if not config.has_pm:
        for each in made.values():
            each.lose(OF_PM)
    if not config.is_newest(profile.version) or any(each.driver in ACPI for each in config.globals):
        from qmpemu.machine.devices.compat import fit

        fit(made, config, profile)
    return made


def _there(about: dict[str, Any], numbers: Numbers | None) -> dict[str, Any]:
    """A bus without the devices that are not there, the others numbered anew; anything else as it is."""
    names = sorted((name for name, _ in about["rows"] if name[:6] == "child["), key=_number)
    values = about["values"]
    if numbers is None or not any(numbers.is_absent(values[name]) for name in names):
        return about
    kept = [(kind, values[name]) for name in names for row, kind in about["rows"] if row == name]
    kept = [each for each in kept if not numbers.is_absent(each[1])]
    links = {f"child[{number}]": each for number, each in enumerate(kept)}
    own = {name: value for name, value in values.items() if name not in names}
    rows = dict(
        [row for row in about["rows"] if row[0] not in names]
        + [(name, kind) for name, (kind, _) in links.items()]
    )
    order = ["type", *listed(["hotplug-handler", "realized", *links])]
    paths = {name: path for name, (_, path) in links.items()}
    return {**about, "rows": [[name, rows[name]] for name in order], "values": {**own, **paths}}


def recorded_object(about: dict[str, Any], numbers: Numbers | None) -> Object:
    about = _there(about, numbers)
    made = Object(str(about["values"]["type"]))
    made.order = None if made.type_name == "container" else [name for name, _ in about["rows"]]
    made.properties = {name: kind for name, kind in about["rows"] if not kind.startswith("child<")}
    made.values = {
        name: numbers.moved(value) if numbers is not None and isinstance(value, str) else value
        for name, value in about["values"].items()
    }
    made.unreadable = about["errors"]
    return made


def _number(name: str) -> int:
    return int(name[6:-1])


def _below(start: Object, parts: list[str]) -> Object | None:
    found: Object | None = start
    for part in parts:
        found = found.children.get(part) if found is not None else None
    return found
