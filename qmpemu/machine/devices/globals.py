"""-global: what a property is, unless a device says otherwise, in every device of a class or of one below it.

Each value is set as a device is made, the class's own and those above it in the order they were given; a wrong one ends
the start, and is only warned of where the device is plugged in later. Once the machine is made it is told of those that
no device has used, unless such a device may still come. Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.machine.devices import options
from qmpemu.machine.devices.catalog import VIRTIO_BACKEND, Recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from qmpemu.machine.config import Global, MachineConfig
    from qmpemu.machine.devices.catalog import Listed
    from qmpemu.machine.qom import Object
    from qmpemu.profile import Profile

CPU = ("cpu", "x86_64-cpu")
SIZE = (
    "Parameter '{}' expects a non-negative number below 2^64\n"
    "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
    "and exabytes, respectively."
)


class Globals:
    """Those of one machine. warn: told of a value that a device which comes later cannot take."""

    __slots__ = ("_given", "_parents", "_profile", "_used", "_warn")

    def __init__(self, given: Iterable[Global], profile: Profile, warn: Callable[[str], object]) -> None:
        self._given = list(given)
        self._profile = profile
        self._warn = warn
        self._parents = profile.parents()
        self._used: set[Global] = set()

    def of(self, about: Recorded | Listed, *, running: bool) -> dict[str, object]:
        """Property -> value of a new device of that type. Raises Refused."""
        found: dict[str, object] = {}
        if isinstance(about, Recorded) and VIRTIO_BACKEND in about.objects:
            inner = about.objects[VIRTIO_BACKEND]["values"]["type"]
            found |= self._set(str(inner), about, running=running)
        return found | self._set(about.type_name, about, running=running)

    def check_board(self, objects: Iterable[Object]) -> None:
        """Whether the board's own devices can have them. Raises Refused."""
        for each in objects:
            if each.is_device:
                self._set(each.type_name, _Shown(each), running=False)

    def check_processor(self, config: MachineConfig) -> None:
        """Turn what is said of processors into features, those that -cpu does not name itself. Raises Refused."""
        kind = f"{config.cpu}-x86_64-cpu"
        known = {row["name"] for row in self._profile.cpu(config.accel, config.cpu)["properties"]}
        for each in self._given:
            if each.driver not in (*CPU, kind):
                continue
            self._used.add(each)
            if each.name not in known:
                raise Refused(f"{_cannot(each)}Property '{kind}.{each.name}' not found")
            value = each.value in options.ON if each.value in options.ON + options.OFF else each.value
            config.cpu_features.setdefault(each.name, value)

    def unused(self) -> Iterator[str]:
        """What is said of those that met no device."""
        about = self._profile.unmet_classes()
        for each in self._given:
            if each in self._used:
                continue
            if each.driver not in self._parents or each.driver in about["unknown"]:
                yield f"global {each.driver}.{each.name} has invalid class name"
            elif each.driver in about["unused"]:
                yield f"global {each.driver}.{each.name}={each.value} not used"

    def _set(self, kind: str, about: Any, *, running: bool) -> dict[str, object]:
        above = set(self._above(kind))
        found: dict[str, object] = {}
        for each in self._given:
            if each.driver not in above:
                continue
            self._used.add(each)
            try:
                found.update(_converted(kind, about, each))
            except Refused as refused:
                if not running:
                    raise Refused(f"{_cannot(each)}{refused}") from None
                self._warn(f"warning: {_cannot(each)}{refused}")
        return found

    def _above(self, kind: str) -> Iterator[str]:
        here: str | None = kind
        while here is not None:
            yield here
            here = self._parents.get(here)


class _Shown:
    """A board's device as far as a value is converted for it."""

    is_pci = False

    def __init__(self, shown: Object) -> None:
        self._shown = shown
        self.type_name = shown.type_name

    def kinds(self) -> dict[str, str]:
        """Property -> QOM type."""
        return self._shown.properties

    def has_part(self, name: str) -> bool:
        """Whether it is made of an object of that name."""
        return name in self._shown.children

    def owner(self, _: str) -> str:
        """The type that a message names."""
        return self.type_name


def shown(objects: Iterable[Object], given: Iterable[Global]) -> None:
    """Put the values into the board's devices; a wrong one is told of where the devices are made."""
    for each in objects:
        for one in given:
            if one.driver != each.type_name or one.name not in each.properties:
                continue
            try:
                each.values.update(_converted(each.type_name, _Shown(each), one))
            except Refused:
                continue


def _converted(kind: str, about: Any, given: Global) -> dict[str, object]:
    """The value, read as a text; how it is read differs from an option's. Raises Refused."""
    rows = about.kinds()
    if given.name not in rows or given.name in options.NOT_PROPERTIES:
        raise Refused(f"Property '{kind}.{given.name}' not found")
    try:
        return options.values(about, {given.name: given.value})
    except Refused as refused:
        name, wanted = given.name, rows[given.name]
        if wanted == "size" and str(refused).endswith("expects size"):
            raise Refused(SIZE.format(name)) from None
        if str(refused).endswith("expects integer"):
            kind = "int64" if wanted.startswith("int") else "uint64"
            raise Refused(f"Parameter '{name}' expects {kind}") from None
        raise


def _cannot(given: Global) -> str:
    return f"can't apply global {given.driver}.{given.name}={given.value}: "
