"""The object tree as far as clients walk it: the machine, devices by id, processors, user-created objects.

A device's properties are those its type has in the recorded profile; values are what the command line gave, else the
recorded defaults. A processor's are recorded for a CPU model (`profile`: cpu). Sources: facts/libvirt.md §2b.
"""

from __future__ import annotations

from json import loads

from qmpemu.core.table import Refused
from qmpemu.machine.ghash import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile

OWN_PROPERTIES = (("type", "string"), ("realized", "bool"), ("hotplugged", "bool"), ("hotpluggable", "bool"))
"""What every device has besides its type's recorded properties."""


class NotFound(Exception):
    """No object at a path. The text is the path."""


class Ambiguous(Exception):
    """Several objects at a path that is not from the root. The text is the path."""


class Object:
    """One object: type name, properties (name -> type), values, children (name -> object)."""

    __slots__ = ("children", "order", "properties", "type_name", "unreadable", "values", "writable")

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        self.properties: dict[str, str] = {"type": "string"}
        self.values: dict[str, object] = {"type": type_name}
        self.children: dict[str, Object] = {}
        self.order: list[str] | None = None
        """A recorded order of properties and children; without one it is that of the hash table."""
        self.unreadable: dict[str, str] = {}
        """The recorded texts of properties that cannot be read."""
        self.writable: frozenset[str] = frozenset()
        """Properties that may be set while the machine runs."""

    @property
    def is_device(self) -> bool:
        """Whether it is a device of the command line: others may take a new value, which nothing here acts upon."""
        return "realized" in self.properties and self.order is None

    def listing(self) -> list[dict[str, str]]:
        """The object as qom-list shows it."""
        kinds = dict(self.properties)
        kinds.update((name, f"child<{child.type_name}>") for name, child in self.children.items())
        known = self.order or [*self.properties, *listed(self.children)]
        names = [name for name in known if name in kinds]
        names += [name for name in kinds if name not in names]
        return [{"name": name, "type": kinds[name]} for name in names]

    def get(self, name: str, path: str) -> object:
        """A property's value; a child's is its path. Raises Refused."""
        if name in self.children:
            return f"{path.rstrip('/')}/{name}"
        if name in self.unreadable:
            raise Refused(self.unreadable[name])
        if name not in self.values:
            raise Refused(f"Property '{self.type_name}.{name}' not found")
        return self.values[name]

    def set(self, name: str, value: object, device_id: str) -> None:
        """Set a property. Raises Refused."""
        self.get(name, "")
        if name not in self.writable:
            raise Refused(
                f"Attempt to set property '{name}' on device '{device_id}' (type '{self.type_name}') "
                "after it was realized"
            )
        self.values[name] = value


BALLOON_WRITABLE = frozenset({"guest-stats-polling-interval"})
UNKNOWN_STAT = 2**64 - 1
"""What QEMU shows for a balloon statistic that the guest's driver has not reported."""

BALLOON_STATS = (
    "swap-in",
    "swap-out",
    "major-faults",
    "minor-faults",
    "free-memory",
    "total-memory",
    "available-memory",
    "disk-caches",
    "htlb-pgalloc",
    "htlb-pgfail",
)


class Tree:
    """The tree of one machine, built at first need: the recorded one of a bare machine, and what was added to it.

    With more processors than one the recorded devices have other numbers; only the processors are shown then.
    """

    __slots__ = ("_config", "_profile", "root")

    def __init__(
        self, config: MachineConfig, profile: Profile, chardevs: Iterable[str], *, preconfig: bool
    ) -> None:
        self._config = config
        self._profile = profile
        self.root = self._recorded(preconfig) if config.cpus == 1 else Object("container")
        machine = self._child(self.root, "machine", f"{config.machine}-machine")
        machine.values["type"] = machine.type_name = f"{config.machine}-machine"
        if config.main_memory is not None:
            self.root.children.pop("objects", None)  # the default back end is not made then
        machine.values["memory"] = {"size": config.memory_bytes}
        objects = self._user_objects()
        if objects.children:
            self._child(self.root, "objects").children.update(objects.children)
        self._child(self.root, "chardevs").children.update((name, Object("chardev")) for name in chardevs)
        if preconfig:  # devices and processors are made when it ends
            return
        self._child(machine, "peripheral").children.update(self._devices().children)
        self._child(machine, "peripheral-anon")
        self._child(machine, "unattached").children.update(self._processors().children)

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

    def _child(self, parent: Object, name: str, type_name: str = "container") -> Object:
        return parent.children.setdefault(name, Object(type_name))

    def _recorded(self, preconfig: bool) -> Object:
        """The bare machine's tree."""
        recorded = self._profile.tree(self._config.family, preconfig=preconfig)
        made: dict[str, Object] = {}
        for path, about in recorded.items():
            made[path] = self._recorded_object(about)
        for path, each in made.items():
            parent, _, name = path.rpartition("/")
            if name:
                made[parent or "/"].children[name] = each
        return made["/"]

    def _recorded_object(self, about: dict[str, Any]) -> Object:
        made = Object(str(about["values"]["type"]))
        made.order = None if made.type_name == "container" else [name for name, _ in about["rows"]]
        made.properties = {name: kind for name, kind in about["rows"] if not kind.startswith("child<")}
        made.values = about["values"]
        made.unreadable = about["errors"]
        return made

    def _devices(self) -> Object:
        container = Object("container")
        for device in self._config.devices:
            if "id" in device:
                container.children[str(device["id"])] = self._device(device)
        return container

    def _device(self, device: dict[str, object]) -> Object:
        driver = str(device["driver"])
        made = Object(driver)
        made.properties.update(OWN_PROPERTIES)
        made.values.update(realized=True, hotplugged=False, hotpluggable=True)
        recorded = self._profile.reply(
            self._config.family, self._config.accel, "device-list-properties", {"typename": driver}
        )
        for row in loads(recorded) if isinstance(recorded, bytes) else ():
            made.properties.setdefault(row["name"], row["type"])
            if "default-value" in row:
                made.values.setdefault(row["name"], row["default-value"])
        made.values.update({name: value for name, value in device.items() if name in made.properties})
        if driver.startswith("virtio-balloon"):
            self._add_balloon(made)
        return made

    def _add_balloon(self, made: Object) -> None:
        made.properties.update({"guest-stats": "guest statistics", "guest-stats-polling-interval": "int"})
        stats = {f"stat-{name}": UNKNOWN_STAT for name in BALLOON_STATS}
        made.values.update(
            {"guest-stats-polling-interval": 0, "guest-stats": {"stats": stats, "last-update": 0}}
        )
        made.writable = BALLOON_WRITABLE

    def _user_objects(self) -> Object:
        container = Object("container")
        for options in self._config.objects:
            made = container.children[str(options.get("id", ""))] = Object(str(options["qom-type"]))
            for name, value in options.items():
                if name not in ("qom-type", "id"):
                    made.properties[name] = "string" if isinstance(value, str) else "int"
                    made.values[name] = value
        return container

    def _processors(self) -> Object:
        container = Object("container")
        if self._config.family == "none":
            return container
        for index in range(self._config.cpus):
            container.children[processor_name(index)] = self._processor()
        return container

    def _processor(self) -> Object:
        recorded = self._profile.cpu(self._config.accel, self._config.cpu)
        made = Object(f"{self._config.cpu}-x86_64-cpu")
        for row in recorded["properties"]:
            made.properties[row["name"]] = row["type"]
        made.values.update(recorded["values"])
        expanded = self._profile.reply(
            "none",
            self._config.accel,
            "query-cpu-model-expansion",
            {"type": "static", "model": {"name": self._config.cpu}},
        )
        if isinstance(expanded, bytes):  # the model's own features, where they were recorded (host, max)
            made.values.update(loads(expanded)["model"].get("props", {}))
        return made


def _below(start: Object, parts: list[str]) -> Object | None:
    found: Object | None = start
    for part in parts:
        found = found.children.get(part) if found is not None else None
    return found


def processor_name(index: int) -> str:
    """Where processor `index` stands under /machine/unattached: the first one brings its APIC along as device[1]."""
    return "device[0]" if index == 0 else f"device[{index + 1}]"
