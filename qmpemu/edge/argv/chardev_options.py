"""Monitors and character devices: -qmp and its like, -chardev, -mon, -serial."""

from __future__ import annotations

from qmpemu.core.options import is_identifier
from qmpemu.core.table import Refused
from qmpemu.edge import keyval
from qmpemu.edge.argv import groups
from qmpemu.edge.argv.parser import Monitor, Parser, option
from qmpemu.edge.keyval import OptionError
from qmpemu.machine import ringbuf
from qmpemu.machine.chardev import Chardev

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@option("qmp")
def _qmp(parser: Parser, where: str) -> None:
    _compat_monitor(parser, where, control=True, pretty=False)


@option("qmp-pretty")
def _qmp_pretty(parser: Parser, where: str) -> None:
    _compat_monitor(parser, where, control=True, pretty=True)


@option("monitor")
def _monitor(parser: Parser, where: str) -> None:
    parser.monitor_given = True
    if where != "none":
        _compat_monitor(parser, where, control=False, pretty=False)


def _compat_monitor(parser: Parser, where: str, *, control: bool, pretty: bool) -> None:
    if where.startswith("chardev:"):
        name, mode = where.removeprefix("chardev:"), "control" if control else "readline"
        if not is_identifier(name):
            raise OptionError(groups.NO_IDENTIFIER.partition("\n")[0])
        words = f"{name},mode={mode}" + (",pretty=on" if pretty else "")
        parser.pending_monitors.append((words, parser.typed))
        return
    chardev = parser.add_chardev(compat_chardev(f"compat_monitor{len(parser.process.monitors)}", where))
    parser.process.monitors.append(Monitor(chardev, control=control, pretty=pretty, option=parser.typed))


@option("chardev")
def _chardev(parser: Parser, argument: str) -> None:
    options = groups.read(parser, "chardev", argument, "backend")
    label = options.pop("id", None)
    backend = options.pop("backend", "")
    if label is None:
        raise OptionError("chardev: no id specified")
    if backend in ALIASES:
        parser.warn(f"The alias '{backend}' is deprecated, use '{ALIASES[backend]}' instead")
        backend = ALIASES[backend]
    if backend not in BACKENDS:
        raise OptionError(f"'{backend}' is not a valid char driver name")
    _check(backend, options, spice=parser.spice)
    if "size" in options:
        options["size"] = str(keyval.size("size", options["size"], "B"))
    on_mux = options.pop("mux", "off") in ("on", "yes", "true", "y")
    try:
        made = Chardev(f"{label}-base" if on_mux else label, backend, options)
    except Refused as refused:
        raise OptionError(str(refused)) from None
    parser.add_chardev(made)
    if on_mux:
        parser.add_chardev(multiplexed(label, made))
    elif backend == "mux":
        base = next((each for each in parser.config.chardevs if each.label == options["chardev"]), None)
        if base is None:
            raise OptionError(f"mux: base chardev {options['chardev']} not found")
        made.share(base)


def multiplexed(label: str, base: Chardev) -> Chardev:
    """A character device that several front ends may have, on another one."""
    made = Chardev(label, "mux", {"chardev": base.label})
    made.share(base)
    return made


def _check(backend: str, options: Mapping[str, str], *, spice: bool) -> None:
    """What a back end cannot be without, or cannot have. spice: there is a SPICE server. Raises OptionError."""
    needed, text = NEEDED.get(backend, ("", ""))
    if needed and not options.get(needed):
        raise OptionError(f"chardev: {text}")
    if backend in LACKING and not (backend == "spiceport" and spice):
        raise OptionError(LACKING[backend])
    if backend in ("serial", "parallel", "pipe"):
        _unread("", backend, options["path"])
    if backend == "socket":
        _check_socket(options)


def _check_socket(options: Mapping[str, str]) -> None:
    if len(options.keys() & {"path", "host", "fd"}) > 1:
        raise OptionError("None or one of 'path', 'fd' or 'host' option required.")
    if "host" in options and "port" not in options:
        raise OptionError("chardev: socket: no port given")
    server = keyval.switch("server", options.get("server", "off"))
    if server and options.get("reconnect", "0") != "0":
        raise OptionError("'reconnect' option is incompatible with socket in server listen mode")
    if not server and "wait" in options:
        raise OptionError("'wait' option is incompatible with socket in client connect mode")
    if not options.keys() & {"path", "host", "port", "fd"}:
        raise OptionError("Unable to parse FD number ")


@option("mon")
def _mon(parser: Parser, argument: str) -> None:
    parser.pending_monitors.append((argument, parser.typed))  # its chardev may stand further right


ALIASES = {"tty": "serial", "parport": "parallel"}
BACKENDS = frozenset(
    """
    socket stdio pty file null pipe udp serial parallel vc mux msmouse wctablet testdev qemu-vdagent spicevmc spiceport
    dbus braille
    """.split()
    + list(ringbuf.KINDS)
)
"""Back ends QEMU knows; those that the edge opens for real are in `edge.endpoints`."""
NEEDED = {
    "file": ("path", "file: no filename given"),
    "pipe": ("path", "pipe: no device path given"),
    "serial": ("path", "serial/tty: no device path given"),
    "parallel": ("path", "parallel: no device path given"),
    "udp": ("port", "udp: remote port not specified"),
    "mux": ("chardev", "mux: no chardev given"),
    "spicevmc": ("name", "spice channel: no name given"),
    "spiceport": ("name", "spice port: no name given"),
    "dbus": ("name", "dbus: no name given"),
}
"""Back end -> the option it needs, and what is said without it."""
LACKING = {
    "spiceport": "spice not enabled",
    "dbus": "qmpemu does not emulate the character device 'dbus'",
    "braille": "brlapi__openConnection: connect: No such file or directory",
}
"""Back ends that have nothing to lead to."""

SOCKET_OPTIONS = {
    "path",
    "host",
    "port",
    "to",
    "server",
    "wait",
    "telnet",
    "tn3270",
    "websocket",
    "reconnect",
}
SOCKET_OPTIONS |= {"nodelay", "ipv4", "ipv6", "delay", "abstract", "tight", "logfile", "logappend", "mux"}


def compat_chardev(label: str, where: str) -> Chardev:
    """A character device from `-qmp`'s short form: unix:PATH, tcp:HOST:PORT, stdio, null, pty, file:PATH."""
    kind, _, rest = where.partition(":")
    address, _, tail = rest.partition(",")
    if where in ("stdio", "null", "pty", "vc", "msmouse", "wctablet"):
        return Chardev(label, where, {})
    if where in LACKING:
        raise OptionError(LACKING[where])
    if kind == "vc":
        if not rest[:1].isdigit():
            raise OptionError(f"parse error: {where}")
        return Chardev(label, "vc", {})
    if kind == "file":
        return Chardev(label, "file", {"path": rest})
    if kind in ("pipe", "udp") and rest:
        return _unread(label, kind, rest)
    if where.startswith("/dev/"):
        return _unread(label, "serial", where)
    options = keyval.parse(tail) if tail else {}
    if kind == "unix" and not address:
        raise OptionError("Unable to parse FD number ")
    if kind == "unix":
        options["path"] = address
    elif kind in ("tcp", "telnet") and ":" in address:
        options["host"], _, options["port"] = address.rpartition(":")
        if kind == "telnet":
            options["telnet"] = "on"
    elif kind in ("tcp", "telnet"):
        raise OptionError(f"parse error: {where}")
    else:
        raise OptionError(f"'{where}' is not a valid char driver\n{{prefix}}parse error: {where}")
    _check_socket_options(options, where)
    return Chardev(label, "socket", options)


def _unread(label: str, kind: str, path: str) -> Chardev:
    """One that nothing is read from or written to here. Raises OptionError where the real one finds no such file."""
    from os.path import exists

    if (kind in ("serial", "parallel") and not exists(path)) or (
        kind == "pipe" and not (exists(path) or exists(f"{path}.in"))
    ):
        raise OptionError(f"Could not open '{path}': No such file or directory")
    if kind == "parallel":
        raise OptionError("not a parallel port: Inappropriate ioctl for device")
    return Chardev(label, kind, {})


def _check_socket_options(options: Mapping[str, str], where: str) -> None:
    """The two-line refusals that the short form gives."""
    wrong = next((key for key in options if key not in SOCKET_OPTIONS), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'\n{{prefix}}parse error: {where}")
    for key in ("server", "wait"):
        try:
            keyval.switch(key, options.get(key, "on"))
        except OptionError as error:
            raise OptionError(f"{error}\n{{prefix}}parse error: {where}") from None
