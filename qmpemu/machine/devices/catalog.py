"""Device types as the profile's QEMU has them: the bus each needs, its properties, the buses it brings along."""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.core.table import Refused
from qmpemu.qmp.order import as_inserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmpemu.profile import Profile

RECORDED_ID = "dev0"
"""The id that recorded devices have (`edge.record.devices`)."""
HOME = f"/machine/peripheral/{RECORDED_ID}"
VIRTIO_BACKEND = "/virtio-backend"

CPU_SUFFIX = "-x86_64-cpu"


class Recorded:
    """One recorded device. objects: path below the device -> {rows, values, errors}; pci: its row of query-pci."""

    __slots__ = ("objects", "pci")

    def __init__(self, about: dict[str, Any]) -> None:
        self.objects: dict[str, dict[str, Any]] = {
            path.removeprefix(HOME): each for path, each in about["objects"].items()
        }
        self.pci: Any = as_inserted(about["pci"])

    @property
    def type_name(self) -> str:
        """The type itself."""
        return str(self.objects[""]["values"]["type"])

    @property
    def is_pci(self) -> bool:
        """Whether `addr` is a place on a PCI bus."""
        return self.pci is not None

    def kinds(self) -> dict[str, str]:
        """Property -> QOM type of the device itself."""
        return {name: kind for name, kind in self.objects[""]["rows"] if not kind.startswith("child<")}

    def has(self, name: str) -> bool:
        """Whether it has that property."""
        return any(row[0] == name for row in self.objects[""]["rows"])

    def has_part(self, name: str) -> bool:
        """Whether it is made of an object of that name."""
        return any(row == name and kind.startswith("child<") for row, kind in self.objects[""]["rows"])

    def owner(self, name: str) -> str:
        """The type that a message about the property names: of a virtio device it is often the one behind the bus."""
        behind = self.objects.get(VIRTIO_BACKEND) or self.objects.get(SERIAL_LINE)
        if behind is not None and any(row[0] == name for row in behind["rows"]):
            return str(behind["values"]["type"])
        return self.type_name

    def nested(self) -> list[str]:
        """Paths below the device of the devices that it is made of, the innermost first."""
        found = [
            path
            for path, about in self.objects.items()
            if path and any(row[0] == "hotpluggable" for row in about["rows"])
        ]
        return sorted(found, key=lambda path: -path.count("/"))


class Listed:
    """A device of which none could be recorded, since it needs something of the host's: only its properties are known.

    rows: device-list-properties.
    """

    __slots__ = ("is_pci", "rows", "type_name")

    def __init__(self, kind: Kind, rows: list[dict[str, Any]]) -> None:
        self.type_name = kind.name
        self.is_pci = kind.bus == "PCI"
        self.rows = rows

    def kinds(self) -> dict[str, str]:
        """Property -> QOM type."""
        return {row["name"]: row["type"] for row in self.rows}

    def has(self, name: str) -> bool:
        """Whether it has that property."""
        return any(row["name"] == name for row in self.rows)

    def has_part(self, name: str) -> bool:
        """Whether it is made of an object of that name."""
        return any(row["name"] == name and row["type"].startswith("child<") for row in self.rows)

    def owner(self, _: str) -> str:
        """The type that a message about a property names."""
        return self.type_name


SERIAL_LINE = "/serial"
"""The object that is the line of a serial device."""


class Kind:
    """A device type. name: aliases resolved. bus: the kind of bus it needs, None for none."""

    __slots__ = ("bus", "name", "pluggable")

    def __init__(self, name: str, bus: str | None, *, pluggable: bool) -> None:
        self.name = name
        self.bus = bus
        self.pluggable = pluggable


class Catalog:
    """All device types, read from the profile when they are asked for."""

    __slots__ = ("_known", "_profile", "_recorded", "_types")

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._known: dict[str, Any] | None = None
        self._types: dict[str, bool] | None = None
        self._recorded: dict[str, Recorded | None] = {}

    def kind(self, driver: str, *, running: bool) -> Kind:
        """The type of that name. running: the machine is there already. Raises Refused."""
        if self._known is None:
            self._known = self._profile.pluggable()
        about = self._known.get(driver)
        if driver.endswith(CPU_SUFFIX):
            about = {"type": driver, "bus": None, "pluggable": True}
        if about is None:
            raise Refused(self._why_not(driver))
        if running and not about["pluggable"]:
            raise Refused("Parameter 'driver' expects a pluggable device type")
        return Kind(about["type"], about["bus"], pluggable=about["pluggable"])

    def recorded(self, name: str) -> Recorded | None:
        """What such a device looks like; None where none could be recorded."""
        if name not in self._recorded:
            about = self._profile.added("device", name)
            self._recorded[name] = None if about is None else Recorded(about)
        return self._recorded[name]

    def listed(self, kind: Kind) -> Listed | None:
        """The properties of a type that `recorded` does not know; None for a type that dies when it is asked."""
        reply = self._profile.reply("q35", "tcg", "device-list-properties", {"typename": kind.name})
        return Listed(kind, loads(reply)) if isinstance(reply, bytes) else None

    def _why_not(self, driver: str) -> str:
        if self._types is None:
            self._types = self._profile.device_types()
        is_abstract = self._types.get(driver)
        if is_abstract is None:
            return f"'{driver}' is not a valid device model name"
        if is_abstract:
            return "Parameter 'driver' expects a non-abstract device type"
        return "Parameter 'driver' expects a pluggable device type"
