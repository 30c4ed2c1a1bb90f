"""Where a board puts memory: below the hole for PCI devices, above 4 GiB, memory that is plugged in, the hole above it.

0 ──below── hole for PCI ── 4 GiB ──above── [GiB] ──plugged in── [GiB] ──second hole for PCI──

Bytes; measured on QEMU 7.2's boards.
"""

from __future__ import annotations

from qmpemu.machine.wiring import ram_split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig
    from qmpemu.machine.qom import Object

GIB = 1 << 30
FOUR_GIB = 4 * GIB
HOLE = {"pc": 2 * GIB, "q35": 32 * GIB}
HOSTS = {"pc": "/machine/i440fx", "q35": "/machine/q35"}
SYSTEM, PORTS = "/machine/unattached/system[0]", "/machine/unattached/io[0]"
NODES = "/machine/pc.ram[0]"
"""What the memory of NUMA nodes is put together in."""
HOTPLUG_PORTS, HOTPLUG_BYTES = 0xA00, 24
NVDIMM_PORT, NVDIMM_BYTES = 0xA18, 4


class Layout:
    """One machine's, which has a board."""

    def __init__(self, config: MachineConfig) -> None:
        self.below, self.above = ram_split(config)
        self.plugged_at = _rounded(FOUR_GIB + self.above)
        more = config.memory_most_bytes - config.memory_bytes
        self.plugged = more + config.memory_slots * GIB if more > 0 else 0
        self.hole = _rounded(self.plugged_at + self.plugged) if self.plugged else self.plugged_at
        self.hole_end = self.hole + HOLE[config.family]


def show(objects: dict[str, Object], config: MachineConfig, new: type[Object]) -> None:
    """Put the sizes into the bare machine's objects, and the objects that come with more memory."""
    made = Layout(config)
    host = HOSTS[config.family]
    fixed = objects[host].values.get("x-pci-hole64-fix") is not False
    numbers: dict[str, dict[str, object]] = {
        host: {
            "below-4g-mem-size": made.below,
            "above-4g-mem-size": made.above,
            "pci-hole-start": made.below,
            "pci-hole64-start": made.hole if fixed else 0,
            "pci-hole64-end": made.hole_end if fixed else 0,
        },
        f"{host}/mch/tseg-window[0]": {"addr": made.below},
        f"{host}/mch/tseg-blackhole[0]": {"addr": made.below},
        "/machine/unattached/ram-below-4g[0]": {"size": made.below},
        "/objects/pc.ram": {
            "size": config.memory_bytes,
            "prealloc-threads": config.cpus,
            "prealloc": config.memory_at_once,
        },
        "/objects/pc.ram/pc.ram[0]": {"size": config.memory_bytes},
        "/machine": {"device-memory-region-size": made.plugged},
    }
    for path, values in numbers.items():
        each = objects.get(path)
        if each is not None:
            each.values.update({name: value for name, value in values.items() if name in each.properties})
    if config.rtc_slews:
        clock = next(each for each in objects.values() if each.type_name == "mc146818rtc")
        clock.values["lost_tick_policy"] = "slew"
    pattern = objects["/machine/unattached/ram-below-4g[0]"]
    if made.above:
        where = "/machine/unattached/ram-above-4g[0]"
        objects[where] = _region(pattern, SYSTEM, FOUR_GIB, made.above, new)
    if config.numa_memory:
        objects[NODES] = _region(pattern, "", 0, config.memory_bytes, new)
    if made.plugged:
        objects["/machine/device-memory[0]"] = _region(pattern, SYSTEM, made.plugged_at, made.plugged, new)
    if config.switches.get("nvdimm"):
        objects["/machine/nvdimm-acpi-io[0]"] = _region(pattern, PORTS, NVDIMM_PORT, NVDIMM_BYTES, new)
    if made.plugged and config.memory_slots:
        path = next(path for path, each in objects.items() if each.type_name in ("PIIX4_PM", "ICH9-LPC"))
        ports = _region(pattern, PORTS, HOTPLUG_PORTS, HOTPLUG_BYTES, new)
        objects[f"{path}/acpi-mem-hotplug[0]"] = ports


def _region(pattern: Object, container: str, address: int, size: int, new: type[Object]) -> Object:
    made = new(pattern.type_name)
    made.properties, made.order = dict(pattern.properties), pattern.order
    made.values.update({"container": container, "addr": address, "size": size, "priority": 0})
    return made


def _rounded(address: int) -> int:
    return -(-address // GIB) * GIB
