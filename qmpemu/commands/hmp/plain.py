"""The human monitor's verbs that do what a QMP command does, and little more. Texts as measured on QEMU 7.2.

`words` says how a verb's parameters are written.
"""

from __future__ import annotations

from qmpemu.commands.hmp.block import when_told
from qmpemu.commands.hmp.words import answered
from qmpemu.core.options import OptionError, size
from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.commands.registry import Context
    from qmpemu.qmp.later import Later

    Given = dict[str, str]
    Verb = Callable[[Context, Given], str | Later]

MIB = 1 << 20
PARAMETERS = {
    "announce_self": "interfaces:s? id:s?",
    "balloon": "value:l",
    "calc_dirty_rate": "ring:!r bitmap:!b second:l sample-pages:l?",
    "cancel_vcpu_dirty_limit": "cpu-index:l?",
    "set_vcpu_dirty_limit": "dirty-rate:l cpu-index:l?",
    "chardev-add": "options:s",
    "chardev-change": "id:s options:s",
    "chardev-send-break": "id:s",
    "client_migrate_info": "protocol:s hostname:s port:i? tls-port:i? cert-subject:s?",
    "closefd": "fdname:s",
    "getfd": "fdname:s",
    "dumpdtb": "filename:F",
    "dump-guest-memory": "paging:!p detach:!d windmp:!w zlib:!z lzo:!l snappy:!s filename:F begin:l? length:l?",
    "memsave": "val:l size:i filename:s",
    "pmemsave": "val:l size:i filename:s",
    "object_add": "options:s",
    "replay_break": "icount:l",
    "replay_delete_break": "",
    "replay_seek": "icount:l",
    "ringbuf_read": "device:s size:i",
    "ringbuf_write": "device:s data:s",
    "stopcapture": "n:i",
    "trace-event": "name:s option:b vcpu:i?",
    "x_colo_lost_heartbeat": "",
}
CALLED = {"ringbuf_write": "ringbuf-write", "x_colo_lost_heartbeat": "x-colo-lost-heartbeat"}
"""The QMP command of a verb, where it has another name."""
NUMBERS = frozenset("port tls-port val size dirty-rate cpu-index".split())
ANNOUNCED = ("initial", "max", "rounds", "step")


def run(ctx: Context, verb: str, words: list[str]) -> str | Later | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in PARAMETERS:
        return None
    try:
        return answered(
            verb,
            PARAMETERS[verb],
            words,
            lambda given: VERBS.get(verb, _plain(CALLED.get(verb, verb)))(ctx, given),
        )
    except OptionError as error:
        return f"Error: {error}\r\n"


def _plain(command: str) -> Verb:
    def verb(ctx: Context, given: Given) -> str | Later:
        members: dict[str, object] = {
            name: int(value) if name in NUMBERS else value for name, value in given.items()
        }
        return when_told(ctx.commands(command, members), lambda outcome: "")

    return verb


def _announce(ctx: Context, given: Given) -> str:
    parameters = ctx.commands("query-migrate-parameters", {})
    assert isinstance(parameters, dict)
    members = {name: parameters[f"announce-{name}"] for name in ANNOUNCED}
    if given.get("interfaces"):
        members["interfaces"] = given["interfaces"].split(",")
    if "id" in given:
        members["id"] = given["id"]
    ctx.commands("announce-self", members)
    return ""


def _balloon(ctx: Context, given: Given) -> str:
    ctx.commands("balloon", {"value": int(given["value"]) * MIB})
    return ""


def _dirty_rate(ctx: Context, given: Given) -> str:
    if not int(given["second"]):
        return "Incorrect period length specified!\r\n"
    if "ring" in given and "bitmap" in given:
        return "Either dirty ring or dirty bitmap can be specified!\r\n"
    mode = "dirty-ring" if "ring" in given else "dirty-bitmap" if "bitmap" in given else "page-sampling"
    members: dict[str, object] = {"calc-time": int(given["second"]), "mode": mode}
    if "sample-pages" in given:
        members["sample-pages"] = int(given["sample-pages"])
    ctx.commands("calc-dirty-rate", members)
    return (
        f"Starting dirty rate measurement with period {given['second']} seconds\r\n"
        "[Please use 'info dirty_rate' to check results]\r\n"
    )


def _no_limit(ctx: Context, given: Given) -> str:
    """What is wrong is not told (measured)."""
    try:
        ctx.commands("cancel-vcpu-dirty-limit", {name: int(value) for name, value in given.items()})
    except (Refused, QmpError):
        pass
    return "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\r\n"


def _dump(ctx: Context, given: Given) -> str | Later:
    ways = [name for name in ("zlib", "lzo", "snappy", "windmp") if name in given]
    if len(ways) > 1:
        raise QmpError("only one of '-z|-l|-s|-w' can be set")
    members: dict[str, object] = {
        "paging": "paging" in given,
        "protocol": f"file:{given['filename']}",
        "detach": "detach" in given,
    }
    if ways:
        members["format"] = "win-dmp" if ways == ["windmp"] else f"kdump-{ways[0]}"
    for name in ("begin", "length"):
        if name in given:
            members[name] = int(given[name])
    return when_told(ctx.commands("dump-guest-memory", members), lambda outcome: "")


def _object_add(ctx: Context, given: Given) -> str:
    from qmpemu.qmp.keyval_tree import tree, typed

    members = tree(given["options"], "qom-type")
    schema = ctx.profile.schema
    if "size" in members:
        members["size"] = _size(str(members["size"]))
    if "qom-type" in members:
        members = typed(schema, "object-add", members)
    schema.check("object-add", members)
    ctx.commands("object-add", members)
    return ""


def _size(text: str) -> int:
    try:
        return size("size", text, "B")
    except OptionError:
        raise QmpError("Parameter 'size' expects size") from None


def _chardev_add(ctx: Context, given: Given) -> str:
    options = _chardev(ctx, given["options"], None)
    made = ctx.commands("chardev-add", options)
    if isinstance(made, dict) and "pty" in made:
        return f"char device redirected to {made['pty']} (label {options['id']})\r\n"
    return ""


def _chardev_change(ctx: Context, given: Given) -> str:
    if given["id"] not in ctx.machine.chardevs:
        raise QmpError(f"Chardev '{given['id']}' does not exist")
    ctx.commands("chardev-change", _chardev(ctx, given["options"], given["id"]))
    return ""


def _chardev(ctx: Context, text: str, name: str | None) -> dict[str, object]:
    """Options in plain form as QMP's tree. Raises QmpError for what is wrong, or is not emulated."""
    from qmpemu.commands.hmp.backends import backend

    label, made = backend(ctx, text)
    if name is None and label is None:
        raise QmpError("chardev: no id specified")
    return {"id": label if name is None else name, "backend": made}


def _ring_read(ctx: Context, given: Given) -> str:
    members: dict[str, object] = {"device": given["device"], "size": int(given["size"])}
    text = str(ctx.commands("ringbuf-read", members))
    return "".join(map(_printed, text)) + "\r\n"


def _printed(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char == "\n":
        return "\r\n"
    return char if char == "\t" or (char >= " " and char != "\x7f") else f"\\u{ord(char):04X}"


def _trace(ctx: Context, given: Given) -> str:
    members: dict[str, object] = {
        "name": given["name"],
        "enable": given["option"] == "on",
        "ignore-unavailable": True,
    }
    if "vcpu" in given:
        members["vcpu"] = int(given["vcpu"])
    try:
        ctx.commands("trace-event-set-state", members)
    except QmpError as error:
        return f"{error}\r\n"
    return ""


def _said(text: str) -> Verb:
    return lambda ctx, given: text


VERBS: dict[str, Verb] = {
    "announce_self": _announce,
    "balloon": _balloon,
    "calc_dirty_rate": _dirty_rate,
    "cancel_vcpu_dirty_limit": _no_limit,
    "set_vcpu_dirty_limit": _plain("set-vcpu-dirty-limit"),
    "chardev-add": _chardev_add,
    "chardev-change": _chardev_change,
    "dump-guest-memory": _dump,
    "object_add": _object_add,
    "replay_break": _said("setting the breakpoint is allowed only in play mode\r\n"),
    "replay_delete_break": _said("replay breakpoints are allowed only in play mode\r\n"),
    "replay_seek": _said("replay must be enabled to seek\r\n"),
    "ringbuf_read": _ring_read,
    "stopcapture": _said(""),
    "trace-event": _trace,
}
