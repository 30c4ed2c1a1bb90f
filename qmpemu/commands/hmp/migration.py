"""The human monitor's verbs for migrations, and what it shows of one (texts measured on QEMU 7.2)."""

from __future__ import annotations

from qmpemu.core.clock import NS_PER_S
from qmpemu.core.table import Refused
from qmpemu.machine.migration.parameters import IGNORED
from qmpemu.qmp.errors import QmpError
from qmpemu.qmp.later import Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from qmpemu.commands.registry import Context

ONE_TEXT = {"migrate_continue": "state", "migrate_recover": "uri", "migrate_incoming": "uri"}
"""Verbs with one argument: its name in QMP."""
ALONE = ("migrate_cancel", "migrate_start_postcopy", "migrate_pause")
FLAGS = {"d": "detach", "b": "blk", "i": "inc", "r": "resume"}
"""Of `migrate`, in the only order in which QEMU takes them."""
VERBS = ("migrate", "migrate_set_capability", "migrate_set_parameter", *ONE_TEXT, *ALONE)
STATES = """
    none setup cancelling cancelled active postcopy-active postcopy-paused postcopy-recover completed failed colo
    pre-switchover device wait-unplug
""".split()

BOOLS = ("compress-wait-thread", "cpu-throttle-tailslow", "block-incremental")
TEXTS = ("tls-creds", "tls-hostname", "tls-authz")
COMPRESSION_BY = "multifd-compression"
WITH_SUFFIX = """
    downtime-limit max-postcopy-bandwidth xbzrle-cache-size announce-initial announce-max announce-rounds announce-step
""".split()
"""Numbers that may end in k, M and so on."""
UNITS = {
    "announce-initial": " ms",
    "announce-max": " ms",
    "announce-step": " ms",
    "max-bandwidth": " bytes/second",
    "downtime-limit": " ms",
    "x-checkpoint-delay": " ms",
    "xbzrle-cache-size": " bytes",
}
SHOWN = """
    announce-initial announce-max announce-rounds announce-step compress-level compress-threads compress-wait-thread
    decompress-threads throttle-trigger-threshold cpu-throttle-initial cpu-throttle-increment cpu-throttle-tailslow
    max-cpu-throttle tls-creds tls-hostname max-bandwidth downtime-limit x-checkpoint-delay block-incremental
    multifd-channels multifd-compression xbzrle-cache-size max-postcopy-bandwidth tls-authz
""".split()
"""Parameters in the order in which they are shown."""


class _Misused(Exception):
    """A line that does not fit its verb; the text is shown before the hint at the help."""


def run(ctx: Context, verb: str, words: list[str]) -> str | Later | None:
    """What is shown; None for a verb of others."""
    if verb not in VERBS:
        return None
    try:
        return _run(ctx, verb, words)
    except _Misused as misused:
        return f'{misused}\r\nTry "help {verb}" for more information\r\n'
    except (Refused, QmpError) as error:
        return f"Error: {error}\r\n"


def _run(ctx: Context, verb: str, words: list[str]) -> str | Later:
    if verb == "migrate":
        return _migrate(ctx, words)
    if verb in ALONE:
        _texts(verb, words, 0)
        ctx.commands(verb if verb == "migrate_cancel" else verb.replace("_", "-"), {})
    elif verb in ONE_TEXT:
        (value,) = _texts(verb, words, 1)
        if verb == "migrate_continue" and value not in STATES:
            raise QmpError(f"invalid parameter value: {value}")
        ctx.commands(verb.replace("_", "-"), {ONE_TEXT[verb]: value})
    elif verb == "migrate_set_capability":
        _set_capability(ctx, words)
    else:
        name, text = _texts(verb, words, 2)
        ctx.commands("migrate-set-parameters", {name: _value(ctx, name, text)})
    return ""


def _texts(verb: str, words: list[str], count: int) -> list[str]:
    """That many words and no more. Raises _Misused."""
    if len(words) < count or '"' in words:
        raise _Misused(f"{verb}: string expected")
    if len(words) > count:
        raise _Misused(f"{verb}: extraneous characters at the end of line")
    return words


def _migrate(ctx: Context, words: list[str]) -> str | Later:
    words, flags = list(words), list(FLAGS)
    arguments: dict[str, object] = {}
    while words and words[0].startswith("-"):
        letter = words[0][1:2]
        if letter not in flags:
            raise _Misused(f"migrate: unsupported option -{letter}")
        del flags[: flags.index(letter) + 1]
        arguments[FLAGS[letter]] = True
        words[0] = words[0][2:]
        if not words[0]:
            del words[0]
    (arguments["uri"],) = _texts("migrate", words, 1)
    ctx.commands("migrate", arguments)
    if "detach" in arguments:
        return ""
    if ctx.asker is not None:
        return _over(ctx)
    return "terminal does not allow synchronous migration, continuing detached\r\n"


def _over(ctx: Context) -> Later:
    """Nothing, once the migration is over or has gone on to post-copy; looked for once a second, as QEMU does."""
    machine, later = ctx.machine, Later()

    def look() -> None:
        outgoing = machine.migration.outgoing
        if outgoing is not None and outgoing.status in ("setup", "active"):
            machine.call_in_host_time(NS_PER_S, look)
        else:
            later.finish("")

    machine.call_in_host_time(0, look)
    return later


def _set_capability(ctx: Context, words: list[str]) -> None:
    _texts("migrate_set_capability", words[:1], 1)
    if len(words) < 2 or words[1] not in ("on", "off"):
        raise _Misused("Expected 'on' or 'off'")
    name, state = _texts("migrate_set_capability", words, 2)
    if name not in _capabilities(ctx):
        raise QmpError(f"invalid parameter value: {name}")
    row = {"capability": name, "state": state == "on"}
    ctx.commands("migrate-set-capabilities", {"capabilities": [row]})


def _value(ctx: Context, name: str, text: str) -> object:
    """A parameter's value as QMP has it. Raises QmpError."""
    wrong = f"Parameter '{name}' expects "
    if name == "block-bitmap-mapping":
        raise QmpError("The block-bitmap-mapping parameter can only be set through QMP")
    if name not in SHOWN and name not in IGNORED:
        raise QmpError(f"invalid parameter value: {name}")
    if name == COMPRESSION_BY and text not in ("none", "zlib", "zstd"):
        raise QmpError(f"Parameter '{name}' does not accept value '{text}'")
    if name in (*TEXTS, COMPRESSION_BY):
        return text
    if name in BOOLS:
        if text not in ("on", "off"):
            raise QmpError(f"{wrong}'on' or 'off'")
        return text == "on"
    if name == "max-bandwidth":
        found = _bytes(text, 1 << 20)
        if found is None:
            raise QmpError(f"Invalid size {text}")
        return found
    if name in WITH_SUFFIX:
        found = _bytes(text, 1)
        if found is None:
            hint = (
                "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\r\nand exabytes"
            )
            raise QmpError(f"{wrong}a non-negative number below 2^64\r\n{hint}, respectively.")
        return found
    if not text.isdecimal():
        raise QmpError(f"{wrong}uint64")
    if int(text) > 255 and name != "x-checkpoint-delay":
        raise QmpError(f"{wrong}uint8_t")
    return int(text)


def _bytes(text: str, unit: int) -> int | None:
    """A number with a suffix or, without one, of `unit`; None where it is none below 2^64."""
    from re import IGNORECASE, fullmatch

    found = fullmatch(r"(0x[0-9a-f]+|\d+(?:\.\d+)?)([bkmgtpe]?)", text, IGNORECASE)
    if found is None:
        return None
    digits, suffix = found.groups()
    number = (
        int(digits, 16) if digits[:2].lower() == "0x" else float(digits) if "." in digits else int(digits)
    )
    size = int(number * (1 << 10 * "bkmgtpe".index(suffix.lower()) if suffix else unit))
    return size if size < 1 << 64 else None


GLOBALS = """globals:
store-global-state: on
only-migratable: off
send-configuration: on
send-section-footer: on
decompress-error-check: on
clear-bitmap-shift: 18
"""
RAM = (
    ("transferred ram: {} kbytes", "transferred"),
    ("throughput: {:.2f} mbps", "mbps"),
    ("remaining ram: {} kbytes", "remaining"),
    ("total ram: {} kbytes", "total"),
    ("duplicate: {} pages", "duplicate"),
    ("skipped: {} pages", "skipped"),
    ("normal: {} pages", "normal"),
    ("normal bytes: {} kbytes", "normal-bytes"),
    ("dirty sync count: {}", "dirty-sync-count"),
    ("page size: {} kbytes", "page-size"),
    ("multifd bytes: {} kbytes", "multifd-bytes"),
    ("pages-per-second: {}", "pages-per-second"),
)
RAM_UNLESS_ZERO = (
    ("dirty pages rate: {} pages", "dirty-pages-rate"),
    ("postcopy request count: {}", "postcopy-requests"),
    ("precopy ram: {} kbytes", "precopy-bytes"),
    ("downtime ram: {} kbytes", "downtime-bytes"),
    ("postcopy ram: {} kbytes", "postcopy-bytes"),
)
XBZRLE = (
    ("cache size: {} bytes", "cache-size"),
    ("xbzrle transferred: {} kbytes", "bytes"),
    ("xbzrle pages: {} pages", "pages"),
    ("xbzrle cache miss: {} pages", "cache-miss"),
    ("xbzrle cache miss rate: {:.2f}", "cache-miss-rate"),
    ("xbzrle encoding rate: {:.2f}", "encoding-rate"),
    ("xbzrle overflow: {}", "overflow"),
)
COMPRESSION = (
    ("compression pages: {} pages", "pages"),
    ("compression busy: {}", "busy"),
    ("compression busy rate: {:.2f}", "busy-rate"),
    ("compressed size: {} kbytes", "compressed-size"),
    ("compression rate: {:.2f}", "compression-rate"),
)


def info_migrate(ctx: Context) -> str:
    """`info migrate`: what query-migrate tells, line by line."""
    told: Any = ctx.commands("query-migrate", {})
    lines = GLOBALS.splitlines()
    if "status" in told:
        why = f" ({told['error-desc']})" if "error-desc" in told else ""
        lines += [f"Migration status: {told['status']}{why}", f"total time: {told.get('total-time', 0)} ms"]
    for name in ("expected downtime", "downtime"):
        if name.replace(" ", "-") in told:
            lines.append(f"{name}: {told[name.replace(' ', '-')]} ms")
    if "setup-time" in told:
        lines.append(f"setup: {told['setup-time']} ms")
    ram = told.get("ram")
    if ram is not None:
        lines += _lines(RAM, ram)
        lines += _lines([row for row in RAM_UNLESS_ZERO if ram[row[1]]], ram)
    for name, rows in (("xbzrle-cache", XBZRLE), ("compression", COMPRESSION)):
        lines += _lines(rows, told[name]) if name in told else []
    if "cpu-throttle-percentage" in told:
        lines.append(f"cpu throttle percentage: {told['cpu-throttle-percentage']}")
    if "postcopy-blocktime" in told:
        each = ",".join(map(str, told["postcopy-vcpu-blocktime"]))
        lines += [f"postcopy blocktime: {told['postcopy-blocktime']}", f"postcopy vcpu blocktime: {each}"]
    if "socket-address" in told:
        lines += ["socket address: [", *(f"\t{_spot(each)}" for each in told["socket-address"]), "]"]
    return "".join(f"{line}\r\n" for line in lines)


def _lines(rows: Sequence[tuple[str, str]], figures: dict[str, Any]) -> list[str]:
    return [text.format(figures[name] // 1024 if "kbytes" in text else figures[name]) for text, name in rows]


def _spot(address: dict[str, Any]) -> str:
    if address["type"] == "unix":
        return f"unix:{address['path']}"
    if address["type"] == "vsock":
        return f"vsock:{address['cid']}:{address['port']}"
    return f"tcp:{address['host']}:{address['port']}"


def _capabilities(ctx: Context) -> dict[str, bool]:
    rows: Any = ctx.commands("query-migrate-capabilities", {})
    return {row["capability"]: row["state"] for row in rows}


def info_capabilities(ctx: Context) -> str:
    """`info migrate_capabilities`."""
    return "".join(f"{name}: {'on' if on else 'off'}\r\n" for name, on in _capabilities(ctx).items())


def info_parameters(ctx: Context) -> str:
    """`info migrate_parameters`."""
    values: Any = ctx.commands("query-migrate-parameters", {})
    shown, lines = {True: "on", False: "off"}, []
    for name in SHOWN:
        value = values[name]
        text = f"'{value}'" if name.startswith("tls") else shown[value] if name in BOOLS else str(value)
        lines.append(f"{name}: {text}{UNITS.get(name, '')}")
    if "block-bitmap-mapping" in values:
        lines.append("block-bitmap-mapping:")
    for node in values.get("block-bitmap-mapping", ()):
        lines.append(f"  '{node['node-name']}' -> '{node['alias']}'")
        lines += [f"    '{each['name']}' -> '{each['alias']}'" for each in node["bitmaps"]]
    return "".join(f"{line}\r\n" for line in lines)


INFO: dict[str, Callable[[Context], str]] = {
    "migrate": info_migrate,
    "migrate_capabilities": info_capabilities,
    "migrate_parameters": info_parameters,
}
