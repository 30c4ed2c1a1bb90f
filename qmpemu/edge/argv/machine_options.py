"""What the machine is: type, accelerator, processors, memory, devices, and what it does on reboot and shutdown."""

from __future__ import annotations

from json import loads

from qmpemu.edge import keyval
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.actions import ACTION_VALUES


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


@option("bios")
def _bios(parser: Parser, path: str) -> None:
    parser.config.firmware = path


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
    parser.config.main_memory = options.get("memory-backend", parser.config.main_memory)
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
    raise Unprefixed("unsupported machine type\nUse -machine help to list supported machines")


def _choose_accel(parser: Parser, names: list[str]) -> None:
    for name in names:
        if name == "tcg" or name == "qtest" or (name == "kvm" and parser.profile.kvm_recorded):
            parser.config.accel = "kvm" if name == "kvm" else "tcg"
            parser.config.qtest_accel = name == "qtest"
            return
    raise Unprefixed(f"invalid accelerator {names[-1]}")


@option("accel")
def _accel(parser: Parser, argument: str) -> None:
    name = keyval.parse(argument, "accel").get("accel", "")
    try:
        _choose_accel(parser, [name])
    except Unprefixed as error:
        raise OptionError(str(error)) from None


@option("enable-kvm")
def _enable_kvm(parser: Parser, _: str) -> None:
    _choose_accel(parser, ["kvm"])


@option("cpu")
def _cpu(parser: Parser, argument: str) -> None:
    model, *features = argument.split(",")
    parser.config.cpu = model
    for feature in features:
        name, _, value = feature.partition("=")
        sign = name[:1] if name[:1] in "+-" else ""
        parser.config.cpu_features[name.removeprefix(sign or "=")] = _feature(sign, value)


def _feature(sign: str, value: str) -> object:
    """A switch, or a number in any base, or text."""
    if sign:
        return sign == "+"
    if value in ("", "on", "off"):
        return value != "off"
    try:
        return int(value, 0)
    except ValueError:
        return value


@option("m")
def _memory(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "size")
    config = parser.config
    config.memory_asked_bytes = keyval.size("size", options.get("size", "128"), "M")
    if "slots" in options or "maxmem" in options:
        config.memory_slots = int(options.get("slots", "0"), 0)
        config.memory_most_bytes = keyval.size("maxmem", options.get("maxmem", "0"), "M")


@option("smp")
def _smp(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "cpus")
    try:
        numbers = {key: int(value) for key, value in options.items()}
    except ValueError:
        wrong = next(key for key, value in options.items() if not value.isdigit())
        raise Unprefixed(f"Parameter 'smp.{wrong}' expects integer") from None
    cores, threads = numbers.get("cores", 1), numbers.get("threads", 1)
    most = numbers.get("maxcpus", numbers.get("cpus", numbers.get("sockets", 1) * cores * threads))
    if "sockets" not in numbers and "cores" not in numbers and _prefers_cores(parser.config.machine):
        cores = max(1, most // threads)
    sockets = numbers.get("sockets", max(1, most // (cores * threads)))
    if "cores" not in numbers and "sockets" in numbers:
        cores = max(1, most // (sockets * threads))
    cpus = numbers.get("cpus", most)
    if sockets * cores * threads != most or cpus > most:
        raise Unprefixed(
            "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
            f"sockets ({sockets}) * cores ({cores}) * threads ({threads}) == maxcpus ({most}) < smp_cpus ({cpus})"
        )
    parser.config.cpus, parser.config.cpus_max, parser.config.topology = cpus, most, (sockets, cores, threads)


def _prefers_cores(machine: str) -> bool:
    """Whether unnamed levels become cores; machine types before 6.2 make them sockets."""
    version = machine.rpartition("-")[2].split(".")
    try:
        return (int(version[0]), int(version[1])) >= (6, 2)
    except (ValueError, IndexError):
        return True


@option("incoming")
def _incoming(parser: Parser, uri: str) -> None:
    parser.config.incoming = uri


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
    parser.remember("device")


@option("object")
def _object(parser: Parser, argument: str) -> None:
    members = _members(argument, "qom-type")
    if str(members["qom-type"]).startswith("memory-backend-"):
        _type_backend(members)
    parser.config.objects.append(members)
    parser.remember("object")


def _type_backend(members: dict[str, object]) -> None:
    """The plain form has texts only: make a memory back end's size and switches what they mean."""
    for name, value in members.items():
        if name == "size" and isinstance(value, str):
            members[name] = keyval.size(name, value, "B")
        elif name in ("merge", "dump", "prealloc", "share", "reserve") and isinstance(value, str):
            members[name] = keyval.switch(name, value)


@option("blockdev")
def _blockdev(parser: Parser, argument: str) -> None:
    parser.config.blockdevs.append(_members(argument, "driver"))
    parser.remember("blockdev")


@option("netdev")
def _netdev(parser: Parser, argument: str) -> None:
    parser.config.netdevs.append(_members(argument, "type"))
    parser.remember("netdev")


def _members(argument: str, implied: str) -> dict[str, object]:
    members = keyval.parse_json_or_keyval(argument, implied)
    if implied not in members:
        raise OptionError(f"Parameter '{implied}' is missing")
    return members


@option("nodefaults")
def _nodefaults(parser: Parser, _: str) -> None:
    parser.config.nodefaults = True


def _nothing(parser: Parser, _: str) -> None:
    """Options that ask for what qmpemu does anyway: no graphics, no user configuration files."""


option("no-user-config", "nographic")(_nothing)
