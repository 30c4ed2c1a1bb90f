"""Options that change nothing here, and whose words are still read: what the real one refuses is refused.

Each is listed in `MachineConfig.not_emulated` once its words are right. Texts as measured on QEMU 7.2.
"""

from __future__ import annotations

import os

from qmpemu.edge import keyval
from qmpemu.edge.argv import groups
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError

SHAPES = {
    "overcommit": "mem-lock:bool cpu-pm:bool",
    "add-fd": "fd set opaque",
    "acpitable": "sig rev oem_id oem_table_id oem_rev asl_compiler_id asl_compiler_rev data file",
    "fw_cfg": "name file string gen_id",
    "icount": "shift align:bool sleep:bool rr rrfile rrsnapshot",
    "semihosting-config": "enable target userspace chardev arg",
    "spice": "port tls-port addr ipv4:bool ipv6:bool unix:bool password password-secret disable-ticketing:bool "
    "disable-copy-paste:bool disable-agent-file-xfer:bool sasl:bool x509-dir x509-key-file x509-key-password "
    "x509-cert-file x509-cacert-file x509-dh-key-file tls-ciphers tls-channel plaintext-channel image-compression "
    "jpeg-wan-compression zlib-glz-wan-compression streaming-video agent-mouse:bool playback-compression:bool "
    "seamless-migration:bool display head gl:bool rendernode",
}
"""The parameters of an option, and which of them are switches."""
BOOT_DEVICES = "abcdefghijklmnop"
BOOT = {"order", "once", "menu", "strict", "splash", "splash-time", "reboot-timeout"}
SMBIOS_TYPES = ("0", "1", "2", "3", "4", "8", "11", "17", "41")
SANDBOX = {
    "obsolete": ("allow", "deny"),
    "elevateprivileges": ("allow", "deny", "children"),
    "spawn": ("allow", "deny"),
    "resourcecontrol": ("allow", "deny"),
}
MODULE_MISSING = "module {} not found, do you want to install qemu-system-gui package?"
TPM = """Parameter 'type' expects a TPM backend type
Supported TPM types (choose only one):
 passthrough   Passthrough TPM backend driver
    emulator   TPM emulator backend driver"""


def _accepted(parser: Parser) -> None:
    parser.config.not_emulated.append(parser.typed)


def shaped(name: str, argument: str) -> dict[str, str]:
    """The words of an option of `SHAPES`. Raises OptionError for a parameter that is none, or a switch that is none."""
    options = keyval.parse(argument)
    shape = dict(each.partition(":")[::2] for each in SHAPES[name].split())
    for key, value in options.items():
        if key not in shape:
            raise OptionError(f"Invalid parameter '{key}'")
        if shape[key]:
            keyval.switch(key, value)
    return options


@option("overcommit")
def _overcommit(parser: Parser, argument: str) -> None:
    shaped("overcommit", argument)
    _accepted(parser)


@option("icount")
def _icount(parser: Parser, argument: str) -> None:
    options = shaped("icount", argument if "=" in argument else f"shift={argument}")
    if options.get("shift", "auto") != "auto" and not options["shift"].isdigit():
        raise OptionError("icount: Invalid shift value")
    _accepted(parser)


@option("add-fd")
def _add_fd(parser: Parser, argument: str) -> None:
    options = shaped("add-fd", argument)
    fd, number = (_number(options, name) for name in ("fd", "set"))
    if fd is None or fd < 0:
        raise OptionError("fd option is required and must be non-negative")
    if fd <= LAST_STANDARD_FD:
        raise OptionError("fd cannot be a standard I/O stream")
    try:
        os.fstat(fd)
    except (OSError, OverflowError):
        raise OptionError("fd is not valid or already in use") from None
    if number is None or number < 0:
        raise OptionError("set option is required and must be non-negative")
    parser.config.passed_fds.append((os.dup(fd), number, options.get("opaque")))


LAST_STANDARD_FD = 2


def _number(options: dict[str, str], name: str) -> int | None:
    text = options.get(name)
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        raise OptionError(f"Parameter '{name}' expects a number") from None


@option("fw_cfg")
def _fw_cfg(parser: Parser, argument: str) -> None:
    options = shaped("fw_cfg", argument if "=" in argument.partition(",")[0] else f"name={argument}")
    if "name" not in options or len(options) != 2:
        raise OptionError("name, plus exactly one of file, string and gen_id, are needed")
    path = options.get("file")
    if path is not None and not os.path.exists(path):
        raise OptionError(
            f"can't load {path}: Failed to open file \u201c{path}\u201d: No such file or directory"
        )
    name = options["name"]
    if len(name) > FW_CFG_NAME_MAX:
        raise OptionError(f"name too long (max. {FW_CFG_NAME_MAX} char)")
    if name in parser.ids.setdefault("fw_cfg name", set()):
        raise OptionError(f"duplicate fw_cfg file name: {name}")
    parser.ids["fw_cfg name"].add(name)
    _accepted(parser)


FW_CFG_NAME_MAX = 55


@option("acpitable")
def _acpitable(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "data")
    for path in (options.get("file"), options.get("data")):
        if path is not None and not os.path.exists(path):
            raise OptionError(f"can't open file {path}: No such file or directory")
    _accepted(parser)


@option("smbios")
def _smbios(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument)
    path = options.get("file")
    if path is not None and not os.path.exists(path):
        raise OptionError(f"Cannot read SMBIOS file {path}")
    if path is None and "type" not in options:
        raise OptionError("Must specify type= or file=")
    if path is None and options["type"] not in SMBIOS_TYPES:
        raise OptionError(f"Don't know how to build fields for SMBIOS type {options['type']}")
    if options.get("type") == "1" and "uuid" in options:
        uuid = groups.grouped_uuid(options["uuid"])
        if uuid is None:
            raise OptionError("Invalid UUID")
        parser.config.uuid = uuid
    _accepted(parser)


@option("boot")
def _boot(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "order")
    for key, value in options.items():
        if key not in BOOT:
            raise Unprefixed(f"Parameter 'boot.{key}' is unexpected")
        if key in ("menu", "strict") and value not in ("on", "off"):
            raise Unprefixed(f"Parameter 'boot.{key}' expects 'on' or 'off'")
        wrong = next((letter for letter in value if letter not in BOOT_DEVICES), None)
        if key in ("order", "once") and wrong is not None:
            raise Unprefixed(f"Invalid boot device '{wrong}'")
    if options.keys() & {"splash", "splash-time", "reboot-timeout"}:
        from qmpemu.edge.argv.boot_menu import look

        look(parser.config, options)
    _accepted(parser)


@option("sandbox")
def _sandbox(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "enable")
    keyval.switch("enable", options.pop("enable", "off"))
    for key, value in options.items():
        if key not in SANDBOX:
            raise OptionError(f"Invalid parameter '{key}'")
        if value not in SANDBOX[key]:
            raise OptionError(f"invalid argument for {key}")
    _accepted(parser)


def check_speaker(parser: Parser) -> None:
    """Whether the audio device of -machine pcspk-audiodev= is there. Raises Unprefixed."""
    if parser.speaker is not None and parser.speaker not in parser.config.audiodevs:
        raise Unprefixed(f"Property 'isa-pcspk.audiodev' can't find value '{parser.speaker}'")


@option("tpmdev")
def _tpmdev(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "type")
    if parser.config.tpms:
        raise OptionError("Only one TPM is allowed.")
    if "id" not in options:
        raise OptionError("Parameter 'id' is missing")
    kind, label = options.get("type"), options.get("chardev")
    if kind not in ("passthrough", "emulator"):
        raise OptionError(TPM)
    if kind == "passthrough":
        _check_tpm(options.get("path", "/dev/tpm0"))
    elif label is None:
        raise OptionError("tpm-emulator: parameter 'chardev' is missing")
    parser.config.tpms[options.pop("id")] = options
    parser.remember("tpmdev")


def _check_tpm(path: str) -> None:
    """No TPM of the host's is passed through; what QEMU looks at comes first. Raises OptionError."""
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        raise OptionError(f"Cannot access TPM device using '{path}': {error.strerror}") from None
    if not path.startswith("/dev/tpm"):
        raise OptionError(f"'{path}' is not a TPM device.")
    raise OptionError("qmpemu does not emulate -tpmdev passthrough")


@option("runas")
def _runas(parser: Parser, user: str) -> None:
    import pwd

    numbers = user.split(":")
    if not (len(numbers) == 2 and all(each.isdigit() for each in numbers)):
        try:
            pwd.getpwnam(user)
        except KeyError:
            raise OptionError(f'User "{user}" doesn\'t exist (and is not <uid>:<gid>)') from None
    _accepted(parser)


@option("chroot")
def _chroot(parser: Parser, path: str) -> None:
    if not os.path.isdir(path):
        raise Unprefixed("chroot failed")
    _accepted(parser)


@option("D")
def _logfile(parser: Parser, path: str) -> None:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise Unprefixed(f"Error opening logfile {path}: No such file or directory")
    _accepted(parser)


@option("compat")
def _compat(parser: Parser, argument: str) -> None:
    if argument.startswith("{"):
        given = keyval.parse_json_or_keyval(argument, "")
    else:
        key, equals, value = argument.partition("=")
        if not equals:
            raise OptionError(f"Expected '=' after parameter '{key}'")
        given = {key: value}
    values = {"deprecated-input": ("accept", "reject", "crash"), "deprecated-output": ("accept", "hide")}
    for key, each in given.items():
        if key in values and each not in values[key]:
            raise OptionError(f"Parameter '{key}' does not accept value '{each}'")
    _accepted(parser)


@option("set")
def _set(parser: Parser, argument: str) -> None:
    path, equals, _ = argument.partition("=")
    parts = path.split(".")
    if not equals or len(parts) < 3:
        raise OptionError(f'can\'t parse: "{argument}"')
    if parts[0] == "device" and all(each.get("id") != parts[1] for each in parser.config.devices):
        raise OptionError(f'there is no device "{parts[1]}" defined')
    _accepted(parser)


@option("rotate")
def _rotate(parser: Parser, degrees: str) -> None:
    if degrees not in ("90", "180", "270"):
        raise OptionError("only 90, 180, 270 deg rotation is available")
    _accepted(parser)


@option("xen-domid", "xen-attach", "xen-domid-restrict")
def _xen(parser: Parser, _: str) -> None:
    raise OptionError("Option not supported for this target")
