"""What `info` of the human monitor shows of PCI functions, USB devices, processors, memory and the object tree.

Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

from qmpemu.machine.devices import usb as usb_devices
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from qmpemu.commands.registry import Context
    from qmpemu.machine.devices.bus import Bus
    from qmpemu.machine.devices.table import Device
    from qmpemu.machine.qom import Object

USB_BUS = "usb-bus"
MIB = 1 << 20
ADDRESS_MASK = 2**64 - 1


def _asked(ctx: Context, command: str) -> Any:
    return ctx.commands(command, {})


def _text(lines: Iterator[str] | list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


# --- PCI ------------------------------------------------------------------------------------------------------


def pci(ctx: Context) -> str:
    """Each function with its regions, those behind a bridge after it."""
    return _text(
        [line for bus in _asked(ctx, "query-pci") for row in bus["devices"] for line in _function(row)]
    )


def _function(row: dict[str, Any]) -> Iterator[str]:
    kind, identity = row["class_info"], row["id"]
    yield f"  Bus {row['bus']:2}, device {row['slot']:3}, function {row['function']}:"
    name = kind.get("desc") or f"Class {kind['class']:04}"
    yield f"    {name}: PCI device {identity['vendor']:04x}:{identity['device']:04x}"
    if "subsystem" in identity:
        yield f"      PCI subsystem {identity['subsystem-vendor']:04x}:{identity['subsystem']:04x}"
    if "irq" in row:
        yield f"      IRQ {row['irq']}, pin {chr(ord('A') + row['irq_pin'] - 1)}"
    if "pci_bridge" in row:
        yield from _windows(row["pci_bridge"]["bus"])
    for region in row["regions"]:
        yield f"      BAR{region['bar']}: {_region(region)}"
    yield f'      id "{row["qdev_id"]}"'
    for below in row.get("pci_bridge", {}).get("devices", ()):
        yield from _function(below)


def _windows(bus: dict[str, Any]) -> Iterator[str]:
    yield f"      BUS {bus['number']}."
    yield f"      secondary bus {bus['secondary']}."
    yield f"      subordinate bus {bus['subordinate']}."
    for name, key, width in (
        ("IO", "io_range", 4),
        ("memory", "memory_range", 8),
        ("prefetchable memory", "prefetchable_range", 8),
    ):
        base, limit = bus[key]["base"], bus[key]["limit"]
        yield f"      {name} range [0x{base:0{width}x}, 0x{limit:0{width}x}]"


def _region(region: dict[str, Any]) -> str:
    first, last = region["address"] & ADDRESS_MASK, (region["address"] + region["size"] - 1) & ADDRESS_MASK
    if region["type"] == "io":
        return f"I/O at 0x{first:04x} [0x{last:04x}]."
    bits, prefetched = 64 if region["mem_type_64"] else 32, " prefetchable" if region["prefetch"] else ""
    return f"{bits} bit{prefetched} memory at 0x{first:08x} [0x{last:08x}]."


# --- USB ------------------------------------------------------------------------------------------------------


def usb(ctx: Context) -> str:
    """Each device with its port, bus after bus."""
    buses = usb_buses(ctx)
    if not buses:
        raise QmpError("USB support not enabled")
    found = list(usb_addresses(ctx, buses))
    if any(usb_devices.product(device) is None for _, device, _ in found):
        return "qmpemu does not emulate the command 'info usb'\r\n"
    return _text([_plugged(number, buses[number], device, address) for number, device, address in found])


def usb_buses(ctx: Context) -> list[Bus]:
    """In the order of their numbers."""
    return [bus for device in ctx.machine.devices.all for bus in device.buses if bus.kind == USB_BUS]


def usb_addresses(ctx: Context, buses: list[Bus]) -> Iterator[tuple[int, Device, int]]:
    """Each device: its bus's number, itself, and its address there, 0 where nobody gave it one."""
    runs, by_os = ctx.machine.plugging.pci.is_set_up, ctx.machine.devices.processors.by_os
    for number, bus in enumerate(buses):
        last = 0
        for device in bus.devices:
            addressed = (
                runs and (by_os or not device.hotplugged) and device.kind not in usb_devices.UNATTACHED
            )
            last += addressed
            yield number, device, last if addressed else 0


def _plugged(number: int, bus: Bus, device: Device, address: int) -> str:
    named = f", ID: {device.id}" if device.id is not None else ""
    return (
        f"  Device {number}.{address}, Port {device.place}, Speed {usb_devices.speed(bus, device)} Mb/s, "
        f"Product {usb_devices.product(device)}{named}"
    )


# --- memory and processors ------------------------------------------------------------------------------------


def memory_backends(ctx: Context) -> str:
    """Each with its properties."""
    lines = []
    for row in _asked(ctx, "query-memdev"):
        lines.append(f"memory backend: {row['id']}")
        lines.append(f"  size:  {row['size']}")
        for name in ("merge", "dump", "prealloc", "share", "reserve"):
            lines.append(f"  {name}: {str(row[name]).lower()}")
        lines.append(f"  policy: {row['policy']}")
        lines.append(f"  host nodes: {' '.join(map(str, row['host-nodes']))}")
    return _text([*lines, ""])


def slots(ctx: Context) -> str:
    """Each place for a processor."""
    lines = ["Hotpluggable CPUs:"]
    for row in _asked(ctx, "query-hotpluggable-cpus"):
        lines += [f'  type: "{row["type"]}"', f'  vcpus_count: "{row["vcpus-count"]}"']
        if "qom-path" in row:
            lines.append(f'  qom_path: "{row["qom-path"]}"')
        lines.append("  CPUInstance Properties:")
        for name in ("node-id", "socket-id", "die-id", "core-id", "thread-id"):
            if name in row["props"]:
                lines.append(f'    {name}: "{row["props"][name]}"')
    return _text(lines)


def dimms(ctx: Context) -> str:
    """Each module of memory that is plugged in, and each memory behind a virtio device."""
    lines = []
    for row in _asked(ctx, "query-memory-devices"):
        data = row["data"]
        lines.append(f'Memory device [{row["type"]}]: "{data.get("id", "")}"')
        if "memaddr" in data:
            lines.append(f"  memaddr: {data['memaddr']:#x}")
            names = ("node", "requested-size", "size", "max-size", "block-size", "memdev")
            lines += [f"  {name}: {data[name]}" for name in names if name in data]
            continue
        lines += [f"  addr: 0x{data['addr']:x}", f"  slot: {data['slot']}", f"  node: {data['node']}"]
        lines += [f"  size: {data['size']}", f"  memdev: {data['memdev']}"]
        lines += [f"  {name}: {str(data[name]).lower()}" for name in ("hotplugged", "hotpluggable")]
    return _text(lines)


def numa(ctx: Context) -> str:
    """Each node with its processors and memory."""
    nodes = numa_nodes(ctx)
    if nodes is None:
        return "qmpemu does not emulate the command 'info numa'\r\n"
    processors = ctx.machine.devices.processors
    lines = [f"{len(nodes)} nodes"]
    for node, size in nodes.items():
        there = [index for index in processors.present() if processors.props(index).get("node-id") == node]
        lines.append(f"node {node} cpus:{''.join(f' {index}' for index in there)}")
        dimms = [
            each["data"]
            for each in _asked(ctx, "query-memory-devices")
            if each["data"].get("node", 0) == node
        ]
        plugged = sum(each["size"] for each in dimms)
        lines += [
            f"node {node} size: {(size + plugged) // MIB} MB",
            f"node {node} plugged: {plugged // MIB} MB",
        ]
    return _text(lines)


def numa_nodes(ctx: Context) -> dict[int, int] | None:
    """Each node and the bytes it had at the start; None where that is not known."""
    config = ctx.machine.config
    if not config.numa:
        return {0: config.memory_bytes} if config.has_node else {}
    sizes: dict[int, int] = {}
    for node, named in sorted(config.numa_sizes.items()):
        backend = ctx.machine.objects.all.get(named)
        if named and backend is None:
            return None
        sizes[node] = 0 if backend is None else int(str(backend.values["size"]))
    return sizes


# --- the rest -------------------------------------------------------------------------------------------------


def tree(ctx: Context, words: list[str]) -> str:
    """The object tree below a path."""
    from qmpemu.machine.qom import NotFound

    try:
        path, found = ctx.machine.qom.find(words[0] if words else "/machine")
    except NotFound:
        return f"Path '{words[0]}' could not be resolved.\r\n"
    return _text(_branch(path.rpartition("/")[2], found, 0))


def _branch(name: str, here: Object, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}/{name} ({here.type_name})"
    for below in sorted(here.children):
        yield from _branch(below, here.children[below], depth + 1)


def virtio(ctx: Context) -> str:
    """Each virtio device."""
    rows = [f"{row['path']} [{row['name']}]" for row in _asked(ctx, "x-query-virtio")]
    return _text(rows or ["No VirtIO devices"])


def user_networks(ctx: Context) -> str:
    """Each user network; the connections that a guest has through it are none."""
    networks = ctx.machine.netdevs
    users = {name: each for name, each in networks.all.items() if each.kind == "user"}
    if any(each.options.keys() & {"hostfwd", "guestfwd"} for each in users.values()):
        return "qmpemu does not emulate the command 'info usernet'\r\n"
    return _text(
        [
            line
            for name in users
            for line in (f"Hub {0 if name in networks.hub else -1} ({name}):", CONNECTIONS)
        ]
    )


CONNECTIONS = "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ"


def dump(ctx: Context) -> str:
    """How far a dump is."""
    row = _asked(ctx, "query-dump")
    lines = [f"Status: {row['status']}"]
    if row["status"] == "active":
        lines.append(f"Finished: {100.0 * row['completed'] / row['total']:.2f} %")
    return _text(lines)


def generation(ctx: Context) -> str:
    """The number that changes when a machine is copied."""
    return f"{_asked(ctx, 'query-vm-generation-id')['guid']}\r\n"


def _said(text: str) -> Callable[[Context], str]:
    return lambda ctx: text


INFO: dict[str, Callable[[Context], str]] = {
    "pci": pci,
    "usb": usb,
    "memdev": memory_backends,
    "hotpluggable-cpus": slots,
    "memory-devices": dimms,
    "numa": numa,
    "virtio": virtio,
    "usernet": user_networks,
    "dump": dump,
    "vm-generation-id": generation,
    "replay": _said("Record/replay is not active\r\n"),
    "profile": _said("Error: Internal profiler not compiled\r\n"),
    "opcount": _said("[TCG profiler not compiled]\r\n"),
    "vcpu_dirty_limit": _said("Dirty page limit not enabled!\r\n"),
    "sgx": _said("No EPC regions defined, SGX not available\r\n"),
    "capture": _said(""),
    "rdma": _said(""),
}
