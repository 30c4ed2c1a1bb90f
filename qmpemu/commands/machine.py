"""QAPI module `machine`: names, accelerator, processors, memory balloon, and the buttons of the case."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.core.facts import Fact
from qmpemu.machine.board import system_wakeup_supported
from qmpemu.machine.devices import memory_backend
from qmpemu.machine.devices.memory import PAGE
from qmpemu.machine.devices.virtio_memory import MemoryResized
from qmpemu.machine.onboard import UNATTACHED, processor_name
from qmpemu.machine.plugging import BalloonChanged, OstReported
from qmpemu.qmp.errors import QmpError, not_emulated
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.balloon import Balloon
    from qmpemu.machine.devices.table import Device


@command("query-name")
def query_name(ctx: Context) -> object:
    """-> {"name": ...} as given by -name, or {}."""
    name = ctx.machine.config.name
    return {"name": name} if name is not None else {}


@command("query-uuid")
def query_uuid(ctx: Context) -> object:
    """-> {"UUID": ...}; all zeros without -uuid."""
    return {"UUID": ctx.machine.config.uuid}


@command("query-kvm")
def query_kvm(ctx: Context) -> object:
    """present: as the recorded QEMU had it; enabled: this machine was started with KVM."""
    enabled = ctx.machine.config.accel == "kvm"
    return {"enabled": enabled, "present": ctx.profile.kvm_present}


@command("query-current-machine")
def query_current_machine(ctx: Context) -> object:
    """wakeup-suspend-support: whether system_wakeup can ever work."""
    return {"wakeup-suspend-support": system_wakeup_supported(ctx.machine.acpi)}


@command("system_powerdown")
def system_powerdown(ctx: Context) -> object:
    """Press the power button. The reply says nothing about the guest."""
    ctx.machine.board.request_powerdown()
    return {}


@command("system_reset")
def system_reset(ctx: Context) -> object:
    """Press the reset button: forced, the guest is not asked."""
    ctx.machine.board.request_reset(guest=False, reason="host-qmp-system-reset")
    return {}


@command("system_wakeup")
def system_wakeup(ctx: Context) -> object:
    """Wake the guest from S3."""
    if not system_wakeup_supported(ctx.machine.acpi):
        raise QmpError("wake-up from suspend is not supported by this guest")
    ctx.machine.board.request_wakeup()
    return {}


@command("inject-nmi")
def inject_nmi(ctx: Context) -> object:
    """Send a non-maskable interrupt; Windows answers with a bugcheck."""
    ctx.machine.board.inject_nmi()
    return {}


@command("query-cpus-fast")
def query_cpus_fast(ctx: Context) -> object:
    """-> one row per processor, with a thread that really exists."""
    if ctx.machine.config.family == "none":
        return []
    slots = ctx.machine.devices.processors
    return [
        {
            "thread-id": ctx.machine.host.thread_id(f"CPU {index}"),
            "props": slots.props(index),
            "qom-path": _processor_path(ctx, index),
            "cpu-index": index,
            "target": "x86_64",
        }
        for index in slots.present()
    ]


@command("query-hotpluggable-cpus")
def query_hotpluggable_cpus(ctx: Context) -> object:
    """-> every processor slot, the last one first; plugged ones with their path."""
    if ctx.machine.config.family == "none":
        raise QmpError("The feature 'query-hotpluggable-cpus' is not enabled")
    slots = ctx.machine.devices.processors
    rows: list[dict[str, object]] = []
    for index in reversed(range(slots.count)):
        row: dict[str, object] = {
            "props": slots.props(index),
            "vcpus-count": 1,
            "type": f"{slots.model}-x86_64-cpu",
        }
        if index in slots.present() and not ctx.machine.preconfig:  # before that, slots but no processors
            row["qom-path"] = _processor_path(ctx, index)
        rows.append(row)
    return rows


def _processor_path(ctx: Context, index: int) -> str:
    """Where a processor stands in the object tree."""
    slots = ctx.machine.devices.processors
    return slots.plugged[index].path if index in slots.plugged else f"{UNATTACHED}/{processor_name(index)}"


@command("set-numa-node")
def set_numa_node(ctx: Context, *, type: str, **node: object) -> object:
    """Divide processors and memory into nodes; only under --preconfig, where it is not emulated."""
    if ctx.machine.preconfig:
        raise not_emulated("set-numa-node")
    raise QmpError("The command is permitted only before the machine has been created")


@command("query-memory-size-summary")
def query_memory_size_summary(ctx: Context) -> object:
    """-> memory in bytes: the machine's own, and what was plugged in."""
    plugged = ctx.machine.devices.memory.plugged_bytes
    return {"base-memory": ctx.machine.config.memory_bytes, "plugged-memory": plugged}


@command("query-memory-devices")
def query_memory_devices(ctx: Context) -> object:
    """-> one row per DIMM and per memory behind a virtio device, by address."""
    ranges = ctx.machine.devices.memory.ranges
    return [
        (_memory_device if each.bus is None else _virtio_memory)(each, ranges[each][1])
        for each in sorted(ranges, key=lambda each: ranges[each])
    ]


def _virtio_memory(device: Device, size: int) -> dict[str, object]:
    kind, values = device.kind.removesuffix("-pci"), device.values
    data: dict[str, object] = {"memdev": _back_end(device), "memaddr": values["memaddr"]}
    if kind == "virtio-mem":
        data |= {
            "block-size": values.get("block-size", PAGE),
            "size": values["size"],
            "node": values.get("node", 0),
        }
        data |= {"max-size": size, "requested-size": values.get("requested-size", 0)}
    else:
        data["size"] = size
    if device.id is not None:
        data["id"] = device.id
    return {"type": kind, "data": data}


def _back_end(device: Device) -> str:
    return f"/objects/{str(device.values['memdev']).removeprefix('/objects/')}"


def _memory_device(dimm: Device, size: int) -> dict[str, object]:
    data: dict[str, object] = {
        "memdev": _back_end(dimm),
        "hotplugged": dimm.hotplugged,
        "addr": dimm.values["addr"],
        "hotpluggable": True,
        "size": size,
        "slot": dimm.place,
        "node": dimm.values["node"],
    }
    if dimm.id is not None:
        data["id"] = dimm.id
    return {"type": "nvdimm" if dimm.kind == "nvdimm" else "dimm", "data": data}


@event(MemoryResized, "MEMORY_DEVICE_SIZE_CHANGE")
def memory_device_size_change(fact: MemoryResized) -> dict[str, object]:
    """id: the device's, where it has one; size: bytes in use now; qom-path: where it stands."""
    named = {"id": fact.id} if fact.id is not None else {}
    return {**named, "size": fact.size_bytes, "qom-path": fact.path}


@command("pmemsave")
def pmemsave(ctx: Context, *, val: int, size: int, filename: str) -> object:
    """Write `size` bytes of memory from physical address `val` into a file; a guest's memory is zeros here."""
    return _save_zeros(ctx, size % (1 << 64), filename)


@command("memsave")
def memsave(ctx: Context, *, val: int, size: int, filename: str, cpu_index: int = 0) -> object:
    """Write memory as a processor sees it; the guest maps addresses to themselves, as far as there is memory."""
    from qmpemu.machine.dump.memory import is_mapped

    slots = ctx.machine.devices.processors
    if ctx.machine.config.family == "none" or cpu_index not in slots.present():
        raise QmpError("Parameter 'cpu-index' expects a CPU number")
    if not is_mapped(ctx.machine, val, size):
        raise QmpError(f"Invalid addr 0x{val % (1 << 64):016x}/size {size} specified")
    return _save_zeros(ctx, size, filename)


def _save_zeros(ctx: Context, size: int, filename: str) -> object:
    host, later = ctx.machine.host, Later()
    if size > FILE_BYTES_MAX:
        raise QmpError(IO_ERROR)
    try:
        fd = host.open_dump(filename, 0o666)
    except OSError as error:
        raise QmpError(f"Could not open '{filename}': {error.strerror}") from None
    host.write_dump(fd, iter([size]), lambda error: later.finish({} if error is None else QmpError(IO_ERROR)))
    if isinstance(later.outcome, QmpError):
        raise later.outcome
    return later if later.outcome is None else later.outcome


FILE_BYTES_MAX = (1 << 63) - 1
IO_ERROR = "An IO error has occurred"


@command("query-acpi-ospm-status")
def query_acpi_ospm_status(ctx: Context) -> object:
    """-> what the guest last reported of each memory slot, and of processors once it can eject them."""
    machine = ctx.machine
    if machine.acpi is None or not machine.acpi.there:
        raise QmpError("command is not supported, missing ACPI device")
    devices, rows = machine.devices, []
    for slot in range(devices.memory.count):
        dimm = devices.memory.plugged.get(slot)
        rows.append(_ospm_row(machine.plugging.ost.get(("DIMM", str(slot))), dimm, slot, "DIMM"))
    if devices.processors.by_os:
        for slot in range(devices.processors.count):
            cpu = devices.processors.plugged.get(slot)
            rows.append(_ospm_row(machine.plugging.ost.get(("CPU", str(slot))), cpu, slot, "CPU"))
    return rows


def _ospm_row(said: OstReported | None, device: Device | None, slot: int, kind: str) -> dict[str, object]:
    row: dict[str, object] = {
        "source": said.source if said is not None else 0,
        "status": said.status if said is not None else 0,
        "slot": str(slot),
        "slot-type": kind,
    }
    if device is not None and device.id is not None:
        row["device"] = device.id
    return row


@event(OstReported, "ACPI_DEVICE_OST")
def acpi_device_ost(fact: OstReported) -> dict[str, object]:
    """The guest told what became of a processor or DIMM that came or was asked to go."""
    info: dict[str, object] = {
        "source": fact.source,
        "status": fact.status,
        "slot": fact.slot,
        "slot-type": fact.slot_type,
    }
    return {"info": info if fact.device is None else {"device": fact.device, **info}}


@command("query-memdev")
def query_memdev(ctx: Context) -> object:
    """-> one row per memory back end of the command line; the machine's own RAM is one where none was asked for."""
    config = ctx.machine.config
    ctx.machine.look_for_objects()
    objects = ctx.machine.objects
    rows = {name: _memdev(name, each.values) for name, each in objects.all.items() if "size" in each.values}
    main = objects.main_memory
    if main is not None:
        rows[main] = _memdev(
            main, {**memory_backend.main(config), **memory_backend.defaults(config), **objects.main_values}
        )
    shown = ctx.machine.qom.find("/objects")[1].listing()
    return [rows[str(each["name"])] for each in shown if each["name"] in rows]


def _memdev(name: str, values: dict[str, object]) -> dict[str, object]:
    """A back end as query-memdev shows it (the order of members is that of the wire)."""
    row: dict[str, object] = {"id": name, "size": 0, "merge": True, "dump": True, "prealloc": False}
    row.update({"share": False, "reserve": True, "host-nodes": [], "policy": "default"})
    row.update({each: value for each, value in values.items() if each in row and each != "id"})
    return row


@command("query-balloon")
def query_balloon(ctx: Context) -> object:
    """-> {"actual": bytes the guest has}."""
    return {"actual": _balloon(ctx).actual_bytes}


class BalloonTargetSet(Fact):
    """The host asked the guest, through the balloon device, to live with this much memory."""

    target_bytes: int


@command("balloon")
def balloon(ctx: Context, *, value: int) -> object:
    """Ask the guest to live with so many bytes; `actual` follows as its driver inflates or deflates the balloon."""
    found = _balloon(ctx)
    if value <= 0:
        raise QmpError("Parameter 'target' expects a size")
    target_bytes = min(value, found.memory_bytes)
    ctx.machine.facts.chain(BalloonTargetSet(target_bytes=target_bytes))
    ctx.machine.history.note("balloon", "", str(target_bytes))
    found.ask(target_bytes)
    return {}


@event(BalloonChanged, "BALLOON_CHANGE")
def balloon_change(fact: BalloonChanged) -> dict[str, object]:
    """actual: bytes the guest has now."""
    return {"actual": fact.actual_bytes}


def _balloon(ctx: Context) -> Balloon:
    found = ctx.machine.plugging.balloon
    if not found.present:
        raise QmpError("No balloon device has been activated", "DeviceNotActive")
    return found


@command("x-query-usb")
def x_query_usb(ctx: Context) -> object:
    """-> what `info usb` shows."""
    from qmpemu.commands.hmp import info_devices

    return _for_humans(info_devices.usb(ctx), "x-query-usb")


@command("x-query-numa")
def x_query_numa(ctx: Context) -> object:
    """-> what `info numa` shows."""
    from qmpemu.commands.hmp import info_devices

    return _for_humans(info_devices.numa(ctx), "x-query-numa")


def _for_humans(text: str, name: str) -> dict[str, str]:
    if text.startswith("qmpemu does not"):
        raise not_emulated(name)
    return {"human-readable-text": text.replace("\r\n", "\n")}
