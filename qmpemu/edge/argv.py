"""QEMU's command line -> a machine's configuration and what the process around it shall do.

Which options exist, and which take an argument, is recorded data of the profile. What an option does here is one
small function below, `@option("name")`; an option that has none is accepted, changes nothing, and is listed in
`MachineConfig.not_emulated` (rule 6 of the design: not emulated is said). Error texts as measured on QEMU 7.2.
"""

from __future__ import annotations

import os
from json import loads

from qmpemu.edge import keyval
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.board import ACTION_VALUES
from qmpemu.machine.chardev import Chardev
from qmpemu.machine.config import MachineConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qmpemu.profile import Profile

    Handler = Callable[["Parser", str], None]


class Monitor:
    """One QMP or HMP monitor on a character device."""

    __slots__ = ("chardev", "control", "option", "pretty")

    def __init__(self, chardev: Chardev, *, control: bool, pretty: bool, option: str) -> None:
        self.chardev = chardev
        self.control = control
        """True for QMP, False for the human monitor."""
        self.pretty = pretty
        self.option = option
        """The option as typed, for messages: `-qmp unix:...`."""


class ProcessOptions:
    """What concerns the process and not the machine."""

    def __init__(self) -> None:
        self.daemonize = False
        self.pidfile: str | None = None
        self.timestamps = False
        """-msg timestamp=on: messages on standard error begin with the time."""
        self.show: str | None = None
        """`version` or `help`: print that and exit."""
        self.monitors: list[Monitor] = []
        self.sources: dict[str, str] = {}
        """Chardev label -> the option as typed, for messages."""


OPTIONS: dict[str, Handler] = {}


def option(*names: str) -> Callable[[Handler], Handler]:
    """Register what an option does."""

    def register(handler: Handler) -> Handler:
        OPTIONS.update(dict.fromkeys(names, handler))
        return handler

    return register


class Parser:
    """One pass over a command line, in order; the first mistake ends it."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.config = MachineConfig()
        self.process = ProcessOptions()
        self.pending_monitors: list[tuple[str, str]] = []
        self.typed = ""
        """The option being parsed, as typed."""

    def parse(self, words: list[str]) -> None:
        """Read all options. Raises OptionError with QEMU's text."""
        takes_argument = self.profile.options()
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            name = word.lstrip("-") if word.startswith("-") else None
            if name is None:
                self._image(word)
                continue
            if name not in takes_argument:
                raise OptionError(f"{word}: invalid option")
            argument = ""
            if takes_argument[name]:
                if at == len(words):
                    raise OptionError(f"{word}: requires an argument")
                argument = words[at]
                at += 1
            self._option(name, word, argument)
        for argument, typed in self.pending_monitors:
            self._add_monitor(argument, typed)

    def _option(self, name: str, word: str, argument: str) -> None:
        self.typed = f"{word} {argument}" if argument else word
        handler = OPTIONS.get(name)
        if handler is None:
            self.config.not_emulated.append(self.typed)
            return
        try:
            handler(self, argument)
        except OptionError as error:
            raise OptionError(
                f"{self.typed}: {error}".replace("{prefix}", f"{{prefix}}{self.typed}: ")
            ) from None

    def _image(self, path: str) -> None:
        if not os.path.exists(path):
            raise OptionError(f"{path}: Could not open '{path}': No such file or directory")
        self.config.blockdevs.append({"driver": "raw", "node-name": "ide0-hd0", "file": path})

    def add_chardev(self, chardev: Chardev) -> Chardev:
        """Add a character device that the current option defines."""
        self.config.chardevs.append(chardev)
        self.process.sources[chardev.label] = self.typed
        return chardev

    def _add_monitor(self, argument: str, typed: str) -> None:
        options = keyval.parse(argument, "chardev")
        label = options.get("chardev")
        if label is None:
            raise OptionError(f"{typed}: Parameter 'chardev' is missing")
        chardev = next((c for c in self.config.chardevs if c.label == label), None)
        if chardev is None:
            raise OptionError(f'{typed}: chardev "{label}" not found')
        pretty = keyval.switch("pretty", options.get("pretty", "off"))
        control = options.get("mode", "readline") == "control"
        self.process.monitors.append(Monitor(chardev, control=control, pretty=pretty, option=typed))


# --- the process ----------------------------------------------------------------------------------------------


@option("version")
def _version(parser: Parser, _: str) -> None:
    parser.process.show = parser.process.show or "version"


@option("h", "help")
def _help(parser: Parser, _: str) -> None:
    parser.process.show = parser.process.show or "help"


@option("daemonize")
def _daemonize(parser: Parser, _: str) -> None:
    parser.process.daemonize = True


@option("msg")
def _msg(parser: Parser, argument: str) -> None:
    parser.process.timestamps = keyval.switch("timestamp", keyval.parse(argument).get("timestamp", "off"))


@option("pidfile")
def _pidfile(parser: Parser, path: str) -> None:
    parser.process.pidfile = path


# --- monitors and character devices ---------------------------------------------------------------------------


@option("qmp")
def _qmp(parser: Parser, where: str) -> None:
    _compat_monitor(parser, where, control=True, pretty=False)


@option("qmp-pretty")
def _qmp_pretty(parser: Parser, where: str) -> None:
    _compat_monitor(parser, where, control=True, pretty=True)


@option("monitor")
def _monitor(parser: Parser, where: str) -> None:
    if where != "none":
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
    parser.add_chardev(Chardev(label, backend, options))


@option("mon")
def _mon(parser: Parser, argument: str) -> None:
    parser.pending_monitors.append((argument, parser.typed))  # its chardev may stand further right


@option("serial")
def _serial(parser: Parser, where: str) -> None:
    if where != "none":
        count = sum(chardev.label.startswith("serial") for chardev in parser.config.chardevs)
        parser.add_chardev(compat_chardev(f"serial{count}", where))


BACKENDS = ("socket", "stdio", "pty", "file", "null", "ringbuf", "pipe", "udp", "serial", "tty", "vc", "mux")
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
    if kind in ("stdio", "null", "pty", "vc"):
        return Chardev(label, kind, {})
    if kind == "file":
        return Chardev(label, "file", {"path": rest})
    options = keyval.parse(tail) if tail else {}
    if kind == "unix":
        options["path"] = address
    elif kind in ("tcp", "telnet") and ":" in address:
        options["host"], _, options["port"] = address.rpartition(":")
    elif kind in ("tcp", "telnet"):
        raise OptionError(f"parse error: {where}")
    else:
        raise OptionError(f"'{where}' is not a valid char driver\n{{prefix}}parse error: {where}")
    _check_socket_options(options, where)
    return Chardev(label, "socket", options)


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


# --- the machine ----------------------------------------------------------------------------------------------


@option("S")
def _start_paused(parser: Parser, _: str) -> None:
    parser.config.start_paused = True


@option("no-shutdown")
def _no_shutdown(parser: Parser, _: str) -> None:
    parser.config.actions["shutdown"] = "pause"


@option("no-reboot")
def _no_reboot(parser: Parser, _: str) -> None:
    parser.config.actions["reboot"] = "shutdown"


@option("action")
def _action(parser: Parser, argument: str) -> None:
    for key, value in keyval.parse(argument).items():
        if key not in ACTION_VALUES:
            raise OptionError(f"Invalid parameter '{key}'")
        if value not in ACTION_VALUES[key]:
            raise OptionError(f"Parameter '{key}' does not accept value '{value}'")
        parser.config.actions[key] = value


@option("name")
def _name(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "guest")
    wrong = next((key for key in options if key not in ("guest", "process", "debug-threads")), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'")
    parser.config.name = options.get("guest", parser.config.name)


@option("uuid")
def _uuid(parser: Parser, text: str) -> None:
    digits = text.replace("-", "")
    grouped = [len(part) for part in text.split("-")] in ([32], [8, 4, 4, 4, 12])
    if not grouped or any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise OptionError("failed to parse UUID string: wrong format")
    d = digits.lower()
    parser.config.uuid = f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}"


@option("machine", "M")
def _machine(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "type")
    if "type" in options:
        parser.config.machine = _machine_type(parser, options["type"])
    if "accel" in options:
        _choose_accel(parser, options["accel"].split(":"))


def _machine_type(parser: Parser, name: str) -> str:
    if name == "none":
        return name
    recorded = parser.profile.reply("none", "tcg", "query-machines", None)
    assert isinstance(recorded, bytes)
    for machine in loads(recorded):
        if name in (machine["name"], machine.get("alias")):
            return str(machine["name"])
    raise _Unprefixed("unsupported machine type\nUse -machine help to list supported machines")


def _choose_accel(parser: Parser, names: list[str]) -> None:
    for name in names:
        if name == "tcg" or name == "qtest" or (name == "kvm" and parser.profile.kvm_present):
            parser.config.accel = "kvm" if name == "kvm" else "tcg"
            return
    raise _Unprefixed(f"invalid accelerator {names[-1]}")


class _Unprefixed(Exception):
    """A refusal that QEMU prints without naming the option."""


@option("accel")
def _accel(parser: Parser, argument: str) -> None:
    name = keyval.parse(argument, "accel").get("accel", "")
    try:
        _choose_accel(parser, [name])
    except _Unprefixed as error:
        raise OptionError(str(error)) from None


@option("enable-kvm")
def _enable_kvm(parser: Parser, _: str) -> None:
    _choose_accel(parser, ["kvm"])


@option("cpu")
def _cpu(parser: Parser, argument: str) -> None:
    parser.config.cpu = argument.partition(",")[0]


@option("m")
def _memory(parser: Parser, argument: str) -> None:
    parser.config.memory_bytes = keyval.size("size", keyval.parse(argument, "size").get("size", "128"), "M")


@option("smp")
def _smp(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "cpus")
    try:
        numbers = {key: int(value) for key, value in options.items()}
    except ValueError:
        wrong = next(key for key, value in options.items() if not value.isdigit())
        raise _Unprefixed(f"Parameter 'smp.{wrong}' expects integer") from None
    cores, threads = numbers.get("cores", 1), numbers.get("threads", 1)
    most = numbers.get("maxcpus", numbers.get("cpus", numbers.get("sockets", 1) * cores * threads))
    sockets = numbers.get("sockets", max(1, most // (cores * threads)))
    cpus = numbers.get("cpus", most)
    if sockets * cores * threads != most or cpus > most:
        raise _Unprefixed(
            "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
            f"sockets ({sockets}) * cores ({cores}) * threads ({threads}) == maxcpus ({most}) < smp_cpus ({cpus})"
        )
    parser.config.cpus, parser.config.cpus_max, parser.config.topology = cpus, most, (sockets, cores, threads)


@option("global")
def _global(parser: Parser, argument: str) -> None:
    for key, value in keyval.parse(argument).items():
        if key in ("ICH9-LPC.disable_s3", "PIIX4_PM.disable_s3"):
            parser.config.s3_disabled = value in ("1", "on", "true")
        elif key in ("ICH9-LPC.disable_s4", "PIIX4_PM.disable_s4"):
            parser.config.s4_disabled = value in ("1", "on", "true")


@option("device")
def _device(parser: Parser, argument: str) -> None:
    parser.config.devices.append(_members(argument, "driver"))


@option("object")
def _object(parser: Parser, argument: str) -> None:
    parser.config.objects.append(_members(argument, "qom-type"))


@option("blockdev")
def _blockdev(parser: Parser, argument: str) -> None:
    parser.config.blockdevs.append(_members(argument, "driver"))


@option("netdev")
def _netdev(parser: Parser, argument: str) -> None:
    parser.config.netdevs.append(_members(argument, "type"))


def _members(argument: str, implied: str) -> dict[str, object]:
    members = keyval.parse_json_or_keyval(argument, implied)
    if implied not in members:
        raise OptionError(f"Parameter '{implied}' is missing")
    return members


def _nothing(parser: Parser, _: str) -> None:
    """Options that ask for what qmpemu does anyway: no graphics, no defaults, no user configuration files."""


option("nodefaults", "no-user-config", "nographic", "display")(_nothing)


def parse_command_line(words: list[str], profile: Profile) -> tuple[MachineConfig, ProcessOptions]:
    """Parse QEMU's command line (without argv[0]). Raises OptionError whose text is QEMU's, prefix not included."""
    parser = Parser(profile)
    try:
        parser.parse(words)
    except _Unprefixed as error:
        raise OptionError(str(error)) from None
    return parser.config, parser.process
