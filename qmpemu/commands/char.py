"""QAPI module `char`: character devices and the events of virtio-serial ports."""

from __future__ import annotations

from qmpemu.commands.registry import Context, command, event
from qmpemu.core.table import Refused
from qmpemu.machine.chardev import Chardev
from qmpemu.machine.devices.ports import PortOpened
from qmpemu.machine.qom import Object
from qmpemu.machine.ringbuf import KINDS, RingBuffer
from qmpemu.qmp.errors import QmpError, not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("query-chardev")
def query_chardev(ctx: Context) -> object:
    """-> label, filename and whether a front end holds it, for each character device."""
    chardevs = ctx.machine.chardevs
    shared = {
        each.options["chardev"]
        for each in chardevs.values()
        if each.backend == "mux" and (each.taken or each.frontend_open)
    }
    return [
        {
            "label": chardev.label,
            "filename": chardev.describe(),
            "frontend-open": chardev.frontend_open or chardev.label in shared,
        }
        for chardev in map(chardevs.__getitem__, ctx.machine.chardev_names())
    ]


@command("query-yank")
def query_yank(ctx: Context) -> list[dict[str, object]]:
    """-> one instance per socket character device: its connection can be torn down."""
    sockets = [chardev for chardev in ctx.machine.chardevs.values() if chardev.backend == "socket"]
    return [{"type": "chardev", "id": chardev.label} for chardev in sockets]


@command("yank")
def yank(ctx: Context, *, instances: list[dict[str, object]]) -> object:
    """Tear connections down; nothing happens unless all of them are there."""
    known = {("chardev", row["id"]) for row in query_yank(ctx)}
    wanted = [(each["type"], each.get("id")) for each in instances]
    if any(each not in known for each in wanted):
        raise QmpError("Instance not found", "DeviceNotFound")
    for _, label in wanted:
        ctx.machine.chardevs[str(label)].yank()
    return {}


@command("chardev-add")
def chardev_add(ctx: Context, *, id: str, backend: dict[str, Any]) -> object:
    """Open a character device. -> its terminal's name for a pty, else {}."""
    machine = ctx.machine
    if id in machine.chardevs:
        raise QmpError(f"Chardev with id '{id}' already exists")
    kind = str(backend["type"])
    if kind not in OPENED:
        raise not_emulated(f"chardev-add {kind}")
    try:
        made = Chardev(id, kind, _options(ctx, backend["data"]))
        machine.open_chardev(made)
    except (Refused, QmpError) as error:
        raise QmpError(f"Failed to add chardev '{id}': {error}") from None
    machine.chardevs[id] = made
    machine.graft(f"/chardevs/{id}", lambda: Object(f"chardev-{backend['type']}"))
    return {"pty": made.describe().removeprefix("pty:")} if made.backend == "pty" else {}


@command("chardev-change")
def chardev_change(ctx: Context, *, id: str, backend: dict[str, Any]) -> object:
    """Another back end for a character device; a device that is on it stays. -> as chardev-add."""
    machine = ctx.machine
    chardev = machine.chardevs.get(id)
    if chardev is None:
        raise QmpError(f"Chardev '{id}' does not exist")
    if chardev.backend == "mux":
        raise QmpError("Mux device hotswap not supported yet")
    users = [each for each in machine.devices.all if each.values.get("chardev") == id]
    shared = any(
        each.backend == "mux" and each.options["chardev"] == id for each in machine.chardevs.values()
    )
    if shared or (chardev.taken and not users):
        raise QmpError("Chardev user does not support chardev hotswap")
    if not users:
        machine.close_chardev(machine.chardevs.pop(id))
        machine.prune(f"/chardevs/{id}")
        return chardev_add(ctx, id=id, backend=backend)
    return _exchange(ctx, chardev, backend)


def _exchange(ctx: Context, chardev: Chardev, backend: dict[str, Any]) -> object:
    """Lead elsewhere what a device speaks to; where that cannot be opened, to where it led before."""
    machine = ctx.machine
    kind, before = str(backend["type"]), (chardev.backend, chardev.options)
    if kind not in OPENED:
        raise not_emulated(f"chardev-change {kind}")
    try:
        options = _options(ctx, backend["data"])
        machine.close_chardev(chardev)
        chardev.lead_to(kind, options)
        machine.open_chardev(chardev)
    except (Refused, QmpError) as error:
        chardev.lead_to(*before)
        machine.open_chardev(chardev)
        raise QmpError(str(error)) from None
    machine.prune(f"/chardevs/{chardev.label}")
    machine.graft(f"/chardevs/{chardev.label}", lambda: Object(f"chardev-{kind}"))
    return {"pty": chardev.describe().removeprefix("pty:")} if kind == "pty" else {}


@command("chardev-remove")
def chardev_remove(ctx: Context, *, id: str) -> object:
    """Close a character device that no device uses."""
    machine = ctx.machine
    chardev = machine.chardevs.get(id)
    if chardev is None:
        raise QmpError(f"Chardev '{id}' not found")
    if chardev.taken:
        raise QmpError(f"Chardev '{id}' is busy")
    machine.note_removal()
    machine.close_chardev(machine.chardevs.pop(id))
    machine.prune(f"/chardevs/{id}")
    return {}


@command("chardev-send-break")
def chardev_send_break(ctx: Context, *, id: str) -> object:
    """Send a break condition; the simulated guest's serial line does not listen for one."""
    if id not in ctx.machine.chardevs:
        raise QmpError(f"Chardev '{id}' not found")
    return {}


OPENED = ("socket", "pty", "null", "file", "spicevmc", *KINDS)
"""Back ends that can be added at run time."""


def _options(ctx: Context, data: dict[str, Any]) -> dict[str, str]:
    """QAPI's form of a back end as the options of -chardev."""
    options: dict[str, str] = {"server": "on"} if "addr" in data else {}
    for name, value in data.items():
        if name == "addr":
            options.update(_address(ctx, value))
        else:
            options[{"out": "path"}.get(name, name)] = _option(value)
    return options


def _address(ctx: Context, address: dict[str, Any]) -> dict[str, str]:
    data: dict[str, Any] = address["data"]
    if address["type"] != "fd":
        return {name: _option(value) for name, value in data.items()}
    name = str(data["str"])
    if name[:1].isdigit():
        return {"fd": name}
    if name not in ctx.machine.named_fds:
        raise QmpError(f"File descriptor named '{name}' has not been found")
    return {"fd": str(ctx.machine.named_fds.pop(name))}


def _option(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


@command("ringbuf-write")
def ringbuf_write(ctx: Context, *, device: str, data: str, format: str = "utf8") -> object:
    """Append text, or the bytes of base64 text, to a ring buffer."""
    _ring(ctx, device).put(data.encode() if format == "utf8" else _decoded(data))
    return {}


@command("ringbuf-read")
def ringbuf_read(ctx: Context, *, device: str, size: int, format: str = "utf8") -> object:
    """-> the oldest `size` bytes, which leave it: as base64, or as text up to a NUL with U+FFFD for what is none."""
    ring = _ring(ctx, device)
    if size <= 0:
        raise QmpError("size must be greater than zero")
    taken = ring.take(size)
    if format == "base64":
        from binascii import b2a_base64  # late: of what most machines never do

        return b2a_base64(taken, newline=False).decode()
    return taken.partition(b"\0")[0].decode(errors="replace")


def _ring(ctx: Context, device: str) -> RingBuffer:
    chardev = ctx.machine.chardevs.get(device)
    if chardev is None:
        raise QmpError(f"Device '{device}' not found")
    if chardev.ring is None:
        raise QmpError(f"{device} is not a ringbuf device")
    return chardev.ring


def _decoded(data: str) -> bytes:
    """Base64 as GLib reads it: a group of four that is not whole is left out."""
    if not BASE64.issuperset(data):
        raise QmpError("Base64 data contains invalid characters")
    from binascii import a2b_base64

    text = data.replace("\n", "")
    return a2b_base64(text[: len(text) // 4 * 4])


BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n")


@event(PortOpened, "VSERPORT_CHANGE")
def vserport_change(fact: PortOpened) -> dict[str, object]:
    """A program in the guest opened or closed the port `id`."""
    return {"id": fact.id, "open": fact.open}
