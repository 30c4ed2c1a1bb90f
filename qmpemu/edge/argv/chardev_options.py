"""Monitors and character devices: -qmp and its like, -chardev, -mon, -serial."""

from __future__ import annotations

from qmpemu.core.table import Refused
from qmpemu.edge import keyval
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
    if where != "none":
        parser.config.not_emulated.append(parser.typed)
        _compat_monitor(parser, where, control=False, pretty=False)


def _compat_monitor(parser: Parser, where: str, *, control: bool, pretty: bool) -> None:
    chardev = parser.add_chardev(compat_chardev(f"compat_monitor{len(parser.process.monitors)}", where))
    parser.process.monitors.append(Monitor(chardev, control=control, pretty=pretty, option=parser.typed))


@option("chardev")
def _chardev(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "backend")
    label = options.pop("id", None)
    backend = options.pop("backend", "")
    if label is None:
        raise OptionError("chardev: no id specified")
    if backend not in BACKENDS:
        raise OptionError(f"'{backend}' is not a valid char driver name")
    wrong = next((key for key in options if key not in CHARDEV_OPTIONS), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'")
    if backend == "socket" and not options.keys() & {"path", "host", "port", "fd"}:
        raise OptionError("Unable to parse FD number ")
    if "size" in options:
        options["size"] = str(keyval.size("size", options["size"], "B"))
    try:
        parser.add_chardev(Chardev(label, backend, options))
    except Refused as refused:
        raise OptionError(str(refused)) from None


@option("mon")
def _mon(parser: Parser, argument: str) -> None:
    parser.pending_monitors.append((argument, parser.typed))  # its chardev may stand further right


BACKENDS = (
    "socket",
    "stdio",
    "pty",
    "file",
    "null",
    *ringbuf.KINDS,
    "pipe",
    "udp",
    "serial",
    "tty",
    "vc",
    "mux",
)
"""Back ends QEMU knows; those that the edge opens for real are in `edge.endpoints`."""

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
CHARDEV_OPTIONS = SOCKET_OPTIONS | {"fd", "append", "size", "width", "height", "cols", "rows", "tls-creds"}
CHARDEV_OPTIONS |= {"localaddr", "localport", "tls-authz", "signal", "debug", "name", "chardev", "clipboard"}


def compat_chardev(label: str, where: str) -> Chardev:
    """A character device from `-qmp`'s short form: unix:PATH, tcp:HOST:PORT, stdio, null, pty, file:PATH."""
    kind, _, rest = where.partition(":")
    address, _, tail = rest.partition(",")
    if where in ("stdio", "null", "pty", "vc", "msmouse", "wctablet"):
        return Chardev(label, where, {})
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

    if (kind == "serial" and not exists(path)) or (
        kind == "pipe" and not (exists(path) or exists(f"{path}.in"))
    ):
        raise OptionError(f"Could not open '{path}': No such file or directory")
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
