"""What a word on the human monitor's line can become when the tab key is pressed; as measured on QEMU 7.2.

The first word is a verb; behind `info` and `help` comes a name again. A verb of `NAMES` offers what there is of a
sort; of the others the types of their parameters tell whether a file or a drive is wanted (`TYPES`).
"""

from __future__ import annotations

from qmpemu.commands.hmp.snapshots import names as snapshot_names
from qmpemu.commands.hmp.ui import key_names
from qmpemu.commands.hmp.words import BLANKS, words_of
from qmpemu.core.json_text import loads
from qmpemu.machine.actions import ACTION_VALUES
from qmpemu.machine.migration.parameters import IGNORED
from qmpemu.qmp.encode import Raw
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from qmpemu.commands.registry import Context

    Names = Callable[[Context], Iterable[str]]

FOUND_MAX = 256
"""Words that are looked at before they are sorted."""

TYPES = {
    "block_job_cancel": "-B",
    **dict.fromkeys(
        ("block_job_complete", "block_job_pause", "block_job_resume", "commit", "drive_del"), "B"
    ),
    "block_job_set_speed": "Bo",
    "block_resize": "Bo",
    "block_set_io_throttle": "Bllllll",
    "block_stream": "Bos",
    "change": "B-Fss",
    "drive_backup": "---Bss",
    "drive_mirror": "--Bss",
    "dump-guest-memory": "------Fll",
    "dumpdtb": "F",
    "eject": "-B",
    "logfile": "F",
    "nbd_server_add": "-Bs",
    "qemu-io": "-Bs",
    "screendump": "Fsss",
    "snapshot_blkdev": "-Bss",
    "snapshot_blkdev_internal": "Bs",
    "snapshot_delete_blkdev_internal": "Bss",
    "wavcapture": "Fsiii",
    "info block": "--B",
}
"""Parameters in their order: F a file, B a drive, - a flag, others nothing that is completed."""


def found(ctx: Context, typed: bytes) -> tuple[int, Sequence[bytes]]:
    """The length of the word at the end of what was typed, and the words that it can become."""
    text = typed.decode(errors="surrogateescape")
    words = words_of(text)
    if not words or text[-1] in BLANKS:
        words.append("")
    if words[-1] == '"':
        return 0, ()
    word, candidates = _candidates(ctx, words)
    return len(word.encode(errors="surrogateescape")), [
        each.encode(errors="surrogateescape") for each in candidates if each.startswith(word)
    ][:FOUND_MAX]


def _candidates(ctx: Context, words: list[str]) -> tuple[str, Iterable[str]]:
    """The word, or the part of it that counts, and everything of the sort."""
    word, listed = words[-1], ctx.profile.monitor_commands()
    kind, before = "verbs", words[:-1]
    if before[:1] in (["help"], ["?"]):
        del before[0]
        if not before:
            return word, _aliases(listed["verbs"])
        return word, _aliases(listed["info"]) if before == ["info"] else ()
    if before[:1] == ["info"]:
        kind = "info"
        del before[0]
    if not before:
        return word, _aliases(listed[kind])
    verb = f"info {before[0]}" if kind == "info" else before[0]
    place = len(before) - 1
    if (verb, place) in NAMES:
        if verb == "sendkey":
            word = word.rpartition("-")[2]
        return word, NAMES[verb, place](ctx)
    if verb in {name for name, _ in NAMES}:
        return word, ()
    return word, _by_type(ctx, TYPES.get(verb, ""), place, word)


def _aliases(listed: Iterable[str]) -> list[str]:
    return [each for names in listed for each in names.split("|")]


def _by_type(ctx: Context, types: str, place: int, word: str) -> Iterable[str]:
    kind = types[min(place, len(types) - 1) :].lstrip("-")[:1]
    if kind == "F":
        return ctx.machine.host.files(word)
    if kind == "B":
        return [each.name for each in ctx.machine.blocks.drives if each.name]
    return ()


# --- what there is --------------------------------------------------------------------------------------------


def _asked(ctx: Context, command: str, arguments: dict[str, object] | None = None) -> Any:
    rows = ctx.commands(command, arguments or {})
    return loads(rows) if isinstance(rows, Raw) else rows


def _on_off(ctx: Context) -> Iterable[str]:
    return ("on", "off")


def _backends(ctx: Context) -> Iterable[str]:
    return [row["name"] for row in _asked(ctx, "query-chardev-backends") if row["name"] not in NOT_OFFERED]


def _chardevs(ctx: Context) -> Iterable[str]:
    return ctx.machine.chardevs


def _rings(ctx: Context) -> Iterable[str]:
    return [name for name, each in ctx.machine.chardevs.items() if each.ring is not None]


def _device_types(ctx: Context) -> Iterable[str]:
    addable = ctx.profile.pluggable().keys() - IN_MODULES
    return [name for name, abstract in ctx.profile.device_types().items() if name in addable and not abstract]


def _pluggable_devices(ctx: Context) -> Iterable[str]:
    return [each.id for each in ctx.machine.devices.all if each.id is not None and _leaves(ctx, each.path)]


def _leaves(ctx: Context, path: str) -> bool:
    try:
        return bool(_asked(ctx, "qom-get", {"path": path, "property": "hotpluggable"}))
    except QmpError:
        return False


def _object_types(ctx: Context) -> Iterable[str]:
    infos = loads(ctx.profile.schema_bytes())
    types = next(each["values"] for each in infos if "iothread" in each.get("values", ()))
    return [RENAMED.get(name, name) for name in types if name not in NOT_BUILT]


def _objects(ctx: Context) -> Iterable[str]:
    rows = _asked(ctx, "qom-list", {"path": "/objects"})
    return [row["name"] for row in rows if str(row["type"]).startswith("child<")]


def _netdevs(ctx: Context) -> Iterable[str]:
    return ctx.machine.netdevs.all


def _network_clients(ctx: Context) -> Iterable[str]:
    return [*ctx.machine.netdevs.all, *(name for _, name, _ in ctx.machine.plugging.cards())]


def _capabilities(ctx: Context) -> Iterable[str]:
    return [row["capability"] for row in _asked(ctx, "query-migrate-capabilities")]


def _parameters(ctx: Context) -> Iterable[str]:
    return {*_asked(ctx, "query-migrate-parameters"), *IGNORED, "block-bitmap-mapping", "tls-authz"}


def _events(ctx: Context) -> Iterable[str]:
    return [row["name"] for row in reversed(_asked(ctx, "trace-event-get-state", {"name": "*"}))]


NOT_OFFERED = ("dbus", "braille", "spiceport", "spicevmc")
"""Back ends of character devices that come with modules."""
IN_MODULES = frozenset(
    """
    ccid-card-emulated ccid-card-passthru qxl qxl-vga usb-host usb-redir vhost-user-gpu vhost-user-gpu-pci
    vhost-user-vga virtio-gpu-device virtio-gpu-gl-pci virtio-gpu-pci virtio-vga virtio-vga-gl
    """.split()
)
"""Types of devices that come with modules, which are not loaded to complete a word."""
NOT_BUILT = frozenset(
    "memory-backend-epc s390-pv-guest cryptodev-backend-lkcf authz-pam pef-guest x-vfio-user-server".split()
)
"""Types of objects that the schema names and this build does not have."""
RENAMED = {"authz-listfile": "authz-list-file"}
"""Types whose name is another than the schema's."""
NETDEV_TYPES = """
    none nic user tap l2tpv3 socket stream dgram vde bridge hubport netmap vhost-user vhost-vdpa
""".split()
NAMES: dict[tuple[str, int], Names] = {
    ("chardev-add", 0): _backends,
    ("chardev-remove", 0): _chardevs,
    ("chardev-send-break", 0): _chardevs,
    ("delvm", 0): snapshot_names,
    ("loadvm", 0): snapshot_names,
    ("device_add", 0): _device_types,
    ("device_del", 0): _pluggable_devices,
    ("info trace-events", 0): _events,
    ("migrate_set_capability", 0): _capabilities,
    ("migrate_set_capability", 1): _on_off,
    ("migrate_set_parameter", 0): _parameters,
    ("netdev_add", 0): lambda ctx: NETDEV_TYPES,
    ("netdev_del", 0): _netdevs,
    ("object_add", 0): _object_types,
    ("object_del", 0): _objects,
    ("ringbuf_read", 0): _rings,
    ("ringbuf_write", 0): _rings,
    ("sendkey", 0): key_names,
    ("set_link", 0): _network_clients,
    ("set_link", 1): _on_off,
    ("trace-event", 0): _events,
    ("trace-event", 1): _on_off,
    ("watchdog_action", 0): lambda ctx: ACTION_VALUES["watchdog"],
}
"""Verb and place of the word behind it -> what is offered."""
