"""What an older machine type gives its devices otherwise than the newest one, class by class (`Profile.compat`)."""

from __future__ import annotations

from qmpemu.machine.devices.catalog import VIRTIO_BACKEND, Recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.devices.catalog import Listed
    from qmpemu.machine.qom import Object
    from qmpemu.profile import Profile


QUEUES = frozenset(("num-queues", "num_queues"))
"""Numbers that the number of vectors follows from."""


class Compat:
    """That of one machine type."""

    __slots__ = ("_given", "_machine", "_parents", "_profile")

    def __init__(self, profile: Profile, machine: str) -> None:
        self._profile = profile
        self._machine = machine
        self._given: dict[str, dict[str, Any]] | None = None
        self._parents: dict[str, str] | None = None

    def of_new(self, about: Recorded | Listed) -> dict[str, object]:
        """Property -> value of a new device of that type: of what is behind its bus, and its own."""
        names = about.kinds()
        found: dict[str, object] = {}
        if isinstance(about, Recorded) and VIRTIO_BACKEND in about.objects:
            found = self.of(str(about.objects[VIRTIO_BACKEND]["values"]["type"]), names)
        found |= self.of(about.type_name, names)
        if found.keys() & QUEUES:
            found.pop("vectors", None)
        if found.get("disable-modern"):
            found["disable-legacy"] = "off"  # which looks like what it is without, where there is a choice
        return found

    def of(self, kind: str, names: Container[str]) -> dict[str, object]:
        """Property -> value of a device of that type; names: the properties that it has."""
        given = self._read()
        found: dict[str, object] = {}
        for above in reversed(self._above(kind)) if given else ():
            for name, value in given.get(above, {}).items():
                if value is None:
                    found.pop(name, None)
                elif name in names:
                    found[name] = value
        return found

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._given is None:
            self._given = self._profile.compat(self._machine)
        return self._given

    def _above(self, kind: str) -> list[str]:
        if self._parents is None:
            self._parents = self._profile.parents()
        found = [kind]
        while found[-1] in self._parents:
            found.append(self._parents[found[-1]])
        return found


IO_HOTPLUG = "acpi-pci-hotplug[0]"
OF_BRIDGES = frozenset(("acpi-pcihp-io-base", "acpi-pcihp-io-len"))
"""What a Q35's registers for plugging behind bridges show."""
FW_CFG_DMA = "fwcfg.dma[0]"


def fit(made: dict[str, Object], config: MachineConfig, profile: Profile) -> None:
    """Have the board's own devices, by path, as this machine type and -global have them."""
    from qmpemu.machine.devices.acpi_hotplug import HANDLERS, AcpiHotplug

    compat = Compat(profile, config.machine)
    acpi = AcpiHotplug(config, compat)
    for path, each in list(made.items()):
        if each.is_device:
            each.values.update(compat.of(each.type_name, each.properties))
        if each.type_name == HANDLERS["q35"] and not acpi.bridges:
            each.lose(OF_BRIDGES)
            made.pop(f"{path}/{IO_HOTPLUG}", None)
        elif each.values.get("acpi-pcihp-bsel") is not None and not acpi.root:
            each.lose(frozenset(("acpi-pcihp-bsel",)))
            each.values["hotplug-handler"] = ""
        elif each.values.get("dma_enabled") is False:
            made.pop(f"{path}/{FW_CFG_DMA}", None)
