"""QAPI module `machine`: names, accelerator, processors, memory balloon, and the buttons of the case."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command
from qmpemu.machine.board import system_wakeup_supported
from qmpemu.machine.ghash import listed
from qmpemu.machine.machine import BalloonTargetSet
from qmpemu.machine.qom import processor_name
from qmpemu.qmp.errors import QmpError, not_emulated


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
    config = ctx.machine.config
    return [
        {
            "thread-id": ctx.machine.host.thread_id(f"CPU {index}"),
            "props": _cpu_props(config.topology, index),
            "qom-path": f"/machine/unattached/{processor_name(index)}",
            "cpu-index": index,
            "target": "x86_64",
        }
        for index in range(config.cpus if config.family != "none" else 0)
    ]


@command("query-hotpluggable-cpus")
def query_hotpluggable_cpus(ctx: Context) -> object:
    """-> every processor slot, the last one first; plugged ones with their path."""
    config = ctx.machine.config
    if config.family == "none":
        raise QmpError("The feature 'query-hotpluggable-cpus' is not enabled")
    rows: list[dict[str, object]] = []
    for index in reversed(range(config.cpus_max)):
        row: dict[str, object] = {
            "props": _cpu_props(config.topology, index),
            "vcpus-count": 1,
            "type": f"{config.cpu}-x86_64-cpu",
        }
        if index < config.cpus and not ctx.machine.preconfig:  # before that, slots but no processors
            row["qom-path"] = f"/machine/unattached/{processor_name(index)}"
        rows.append(row)
    return rows


@command("set-numa-node")
def set_numa_node(ctx: Context, *, type: str, **node: object) -> object:
    """Divide processors and memory into nodes; only under --preconfig, where it is not emulated."""
    if ctx.machine.preconfig:
        raise not_emulated("set-numa-node")
    raise QmpError("The command is permitted only before the machine has been created")


@command("query-memory-size-summary")
def query_memory_size_summary(ctx: Context) -> object:
    """-> memory in bytes; nothing is plugged at run time."""
    return {"base-memory": ctx.machine.config.memory_bytes, "plugged-memory": 0}


@command("query-memdev")
def query_memdev(ctx: Context) -> object:
    """-> one row per memory back end of the command line; the machine's own RAM is one where none was asked for."""
    config = ctx.machine.config
    asked = [each for each in config.objects if str(each["qom-type"]).startswith("memory-backend-")]
    rows = {str(each["id"]): _memdev(each) for each in asked}
    if not asked and config.memory_bytes:
        rows[MAIN_MEMORY] = _memdev({"id": MAIN_MEMORY, "size": config.memory_bytes})
    return [rows[name] for name in listed(rows)]


MAIN_MEMORY = "pc.ram"


def _memdev(options: dict[str, object]) -> dict[str, object]:
    """A back end as query-memdev shows it (the order of members is that of the wire)."""
    row: dict[str, object] = {"id": options["id"], "size": 0, "merge": True, "dump": True, "prealloc": False}
    row.update({"share": False, "reserve": True, "host-nodes": [], "policy": "default"})
    row.update({name: value for name, value in options.items() if name in row})
    return row


@command("query-balloon")
def query_balloon(ctx: Context) -> object:
    """-> {"actual": bytes the guest has}."""
    return {"actual": _balloon(ctx)}


@command("balloon")
def balloon(ctx: Context, *, value: int) -> object:
    """Set what the device asks of the guest. As with any guest without a balloon driver, `actual` stays."""
    _balloon(ctx)
    if value <= 0:
        raise QmpError("Parameter 'target' expects a size")
    ctx.machine.facts.publish(BalloonTargetSet(target_bytes=min(value, ctx.machine.config.memory_bytes)))
    return {}


def _balloon(ctx: Context) -> int:
    if not any(str(device["driver"]).startswith("virtio-balloon") for device in ctx.machine.config.devices):
        raise QmpError("No balloon device has been activated", "DeviceNotActive")
    return ctx.machine.config.memory_bytes


def _cpu_props(topology: tuple[int, int, int], index: int) -> dict[str, object]:
    _, cores, threads = topology
    socket, rest = divmod(index, cores * threads)
    return {"core-id": rest // threads, "thread-id": rest % threads, "socket-id": socket}
