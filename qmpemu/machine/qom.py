"""The object tree as far as clients walk it: the machine, devices by id, processors, user-created objects.

A device's properties are those its type has in the recorded profile; values are what the command line gave, else the
recorded defaults. A processor's are recorded for a CPU model (`profile`: cpu). Sources: facts/libvirt.md §2b.
"""

from __future__ import annotations

from json import loads

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile

OWN_PROPERTIES = (("type", "string"), ("realized", "bool"), ("hotplugged", "bool"), ("hotpluggable", "bool"))
"""What every device has besides its type's recorded properties."""


class NotFound(Exception):
    """No object at a path. The text is the path."""


class Object:
    """One object: type name, properties (name -> type), values, children (name -> object)."""

    __slots__ = ("children", "properties", "type_name", "values", "writable")

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        self.properties: dict[str, str] = {"type": "string"}
        self.values: dict[str, object] = {"type": type_name}
        self.children: dict[str, Object] = {}
        self.writable: frozenset[str] = frozenset()
        """Properties that may be set while the machine runs."""

    def listing(self) -> list[dict[str, str]]:
        """The object as qom-list shows it."""
        rows = list(self.properties.items())
        rows += [(name, f"child<{child.type_name}>") for name, child in self.children.items()]
        return [{"name": name, "type": kind} for name, kind in rows]

    def get(self, name: str) -> object:
        """A property's value. Raises Refused."""
        if name not in self.values:
            raise Refused(f"Property '{self.type_name}.{name}' not found")
        return self.values[name]

    def set(self, name: str, value: object, device_id: str) -> None:
        """Set a property. Raises Refused."""
        self.get(name)
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
    """The tree of one machine, built at first need."""

    __slots__ = ("_config", "_profile", "root")

    def __init__(self, config: MachineConfig, profile: Profile) -> None:
        self._config = config
        self._profile = profile
        self.root = Object("container")
        machine = self.root.children["machine"] = Object(f"{config.machine}-machine")
        self.root.children["objects"] = self._user_objects()
        self.root.children["chardevs"] = Object("container")
        machine.children["peripheral"] = self._devices()
        machine.children["peripheral-anon"] = Object("container")
        machine.children["unattached"] = self._processors()

    def find(self, path: str) -> Object:
        """The object at an absolute path. Raises NotFound."""
        found: Object | None = self.root if path.startswith("/") else None
        for part in path.split("/"):
            if part and found is not None:
                found = found.children.get(part)
        if found is None:
            raise NotFound(path)
        return found

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


def processor_name(index: int) -> str:
    """Where processor `index` stands under /machine/unattached: the first one brings its APIC along as device[1]."""
    return "device[0]" if index == 0 else f"device[{index + 1}]"
