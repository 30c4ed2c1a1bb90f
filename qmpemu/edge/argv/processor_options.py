"""Processors: -cpu and -smp."""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.core.table import Refused
from qmpemu.edge import keyval
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.machine.devices.options import INTEGERS, MULTIPLES, OFF, ON, integer

NOTHING = "Deprecated CPU topology (considered invalid): CPU topology parameters must be greater than zero"
LEVELS = ("sockets", "dies", "cores", "threads")


@option("cpu")
def _cpu(parser: Parser, argument: str) -> None:
    """What is set comes first, in its order, then what has a plus, then what has a minus."""
    model, *features = argument.split(",")
    config = parser.config
    config.cpu, config.cpu_given = model, True
    plain = [_set_feature(feature) for feature in features if feature and feature[0] not in SIGNS]
    signed = [(feature[0], feature[1:]) for sign in SIGNS for feature in features if feature.startswith(sign)]
    config.cpu_features = {name: _value(value) for name, value in plain}
    config.cpu_features.update((name, sign == "+") for sign, name in signed)
    config.cpu_vp_index = config.cpu_vp_index or dict(plain).get("hv-vpindex") in ON
    _tell_of_mixed(parser, features)
    _check_model(parser, model, plain, [name for _, name in signed])


SIGNS = "+-"


def _set_feature(feature: str) -> tuple[str, str]:
    """Name and value of one without a sign, whose name has no underscore. Raises Unprefixed."""
    name, equals, value = feature.partition("=")
    name = name.replace("_", "-")
    value = value if equals else "on"
    if name != "tsc-freq":
        return name, value
    hertz = _metric(value)
    if hertz is None:
        raise Unprefixed(f"bad numerical value {value}")
    return "tsc-frequency", str(hertz)


def _metric(text: str) -> int | None:
    """`1.5G` -> 1500000000, if it is a size."""
    shift = MULTIPLES.get(text[-1:].lower())
    digits = text if shift is None else text[:-1]
    whole, _, fraction = digits.partition(".")
    if not (whole.isdecimal() and (fraction or "0").isdecimal()):
        return None
    unit: int = 1000 ** ((shift or 0) // 10)
    return int(whole) * unit + int(float(f"0.{fraction or 0}") * unit)


def _tell_of_mixed(parser: Parser, features: list[str]) -> None:
    """Warn of a feature that has had a sign before it is set."""
    seen: list[str] = []
    mixed = False
    for feature in features:
        if feature[:1] in SIGNS:
            seen.append(feature)
            continue
        name, _, value = feature.partition("=")
        name = name.replace("_", "-")
        for each in (sign + name for sign in SIGNS if sign + name in seen):
            mixed = True
            parser.config.warnings.append(
                f'warning: Ambiguous CPU model string. Don\'t mix both "{each}" and "{name}={value or "on"}"'
            )
    if mixed:
        parser.config.warnings.append(f"warning: {MIXED}")


MIXED = "Compatibility of ambiguous CPU model strings won't be kept on future QEMU versions"


def _value(value: str) -> object:
    """A switch, or a number in any base, or text."""
    if value in ("", *ON, *OFF):
        return value not in OFF
    try:
        return int(value, 0)
    except ValueError:
        return value


def _check_model(parser: Parser, model: str, plain: list[tuple[str, str]], signed: list[str]) -> None:
    """Refuse a model or a feature that this QEMU lacks; the models that are always there need no list."""
    profile = parser.profile
    if model not in ("qemu64", "max", "host"):
        recorded = profile.reply("none", "tcg", "query-cpu-definitions", None)
        assert isinstance(recorded, bytes)
        if all(model != row["name"] for row in loads(recorded)):
            raise Unprefixed(f"unable to find CPU model '{model}'")
    if plain or signed:
        _check_features(parser, model, plain, signed)


def _check_features(parser: Parser, model: str, plain: list[tuple[str, str]], signed: list[str]) -> None:
    """Each as a property of the processor, by its kind. Raises Unprefixed."""
    about = parser.profile.cpu("tcg", model)
    kinds = {row["name"]: row["type"] for row in about["properties"]}
    if model not in OF_HOST:
        kinds = {name: kind for name, kind in kinds.items() if name not in HOST_ONLY}
    else:
        kinds |= dict.fromkeys(HOST_ONLY, "bool")
    kinds |= {name: kind for name, kind in HIDDEN.items() if name not in kinds}
    for name, value in plain:
        prefix = f"can't apply global {model}-x86_64-cpu.{name}={value}: "
        kind = kinds.get(name)
        if kind is None:
            raise Unprefixed(f"{prefix}Property '{model}-x86_64-cpu.{name}' not found")
        if name in TOLD:
            raise Unprefixed(f"{prefix}Property '{model}-x86_64-cpu.{name}' is not writable")
        _check_value(prefix, name, kind, value)
    for name in signed:
        if name not in kinds:
            raise Unprefixed(f"Property '{model}-x86_64-cpu.{name}' not found")


def _check_value(prefix: str, name: str, kind: str, value: str) -> None:
    """A property's value, read as a text. Raises Unprefixed."""
    if kind == "bool" and value not in ON + OFF:
        raise Unprefixed(f"{prefix}Parameter '{name}' expects 'on' or 'off'")
    if name == "memory":
        raise Unprefixed(f"{prefix}Device '{value}' not found")
    if name == "realized" and value in ON:
        raise Unprefixed(f"{prefix}CPU socket-id is not set")
    if name == "vendor" and len(value) != VENDOR_LETTERS:
        raise Unprefixed(f"{prefix}Property '.vendor' doesn't take value '{value}'")
    if kind in INTEGERS:
        try:
            number = integer(name, kind, value)
        except Refused as refused:
            wanted = "int64" if kind.startswith("int") else "uint64"
            raise Unprefixed(
                f"{prefix}{str(refused).replace('expects integer', f'expects {wanted}')}"
            ) from None
        most = MOST.get(name)
        if most is not None and not 0 <= number <= most:
            raise Unprefixed(
                f"{prefix}Property .{name} doesn't take value {number} (minimum: 0, maximum: {most})"
            )
        if name == "phys-bits" and number and not LEAST_BITS <= number <= MOST_BITS:
            raise Unprefixed(f"phys-bits should be between {LEAST_BITS} and {MOST_BITS}  (but is {number})")


TOLD = frozenset(
    "type feature-words filtered-features unavailable-features crash-information hotpluggable hotplugged".split()
)
"""Properties that only tell something."""
OF_HOST = ("max", "host")
HOST_ONLY = ("migratable", "host-cache-info", "hv-passthrough")
"""What only models have that are made of the host's."""
HIDDEN = {
    "check": "bool",
    "enforce": "bool",
    "hv-spinlocks": "uint32",
    "vendor": "string",
    "hv-passthrough": "bool",
}
"""Options that the recorded processor has under another name or only under KVM."""
MOST = {"family": 270, "model": 255, "stepping": 15}
VENDOR_LETTERS = 12
LEAST_BITS, MOST_BITS = 32, 52


def tell_of_levels(parser: Parser) -> None:
    """Warn of a level of the topology that has nothing on it."""
    if 0 in _numbers(parser.smp).values():
        parser.config.warnings.append(f"warning: {NOTHING}")


@option("smp")
def _smp(parser: Parser, argument: str) -> None:
    """Several -smp add up; levels that none of them names follow from the others."""
    parser.smp.update(keyval.parse(argument, "cpus"))
    if "clusters" in parser.smp:
        raise Unprefixed("clusters not supported by this machine's CPU topology")
    numbers = _numbers(parser.smp)
    wrong = next((name for name in numbers if name not in (*LEVELS, "cpus", "maxcpus")), None)
    if wrong is not None:
        raise Unprefixed(f"Parameter 'smp.{wrong}' is unexpected")
    dies, threads = numbers.get("dies", 1), numbers.get("threads", 1)
    sockets, cores = numbers.get("sockets", 0), numbers.get("cores", 0)
    most = numbers.get("maxcpus", 0)
    wanted = most or numbers.get("cpus", 0)
    if not wanted:
        sockets, cores = sockets or 1, cores or 1
        wanted = sockets * dies * cores * threads
    if _prefers_cores(parser.config.machine):
        if not cores:
            sockets = sockets or 1
            cores = wanted // (sockets * dies * threads)
        sockets = sockets or wanted // (dies * cores * threads)
    else:
        if not sockets:
            cores = cores or 1
            sockets = wanted // (dies * cores * threads)
        cores = cores or wanted // (sockets * dies * threads)
    most = most or wanted
    cpus = numbers.get("cpus", most) or most
    shape = f"sockets ({sockets}) * dies ({dies}) * cores ({cores}) * threads ({threads})"
    if sockets * dies * cores * threads != most:
        raise Unprefixed(
            f"Invalid CPU topology: product of the hierarchy must match maxcpus: {shape} != maxcpus ({most})"
        )
    if most < cpus:
        raise Unprefixed(
            f"Invalid CPU topology: maxcpus must be equal to or greater than smp: {shape} == maxcpus ({most}) < "
            f"smp_cpus ({cpus})"
        )
    parser.config.cpus, parser.config.cpus_max = cpus, most
    parser.config.topology = (sockets, dies, cores, threads)


def _numbers(options: dict[str, str]) -> dict[str, int]:
    try:
        return {key: int(value) for key, value in options.items()}
    except ValueError:
        wrong = next(key for key, value in options.items() if not value.isdigit())
        raise Unprefixed(f"Parameter 'smp.{wrong}' expects integer") from None


def _prefers_cores(machine: str) -> bool:
    """Whether unnamed levels become cores; machine types before 6.2 make them sockets."""
    version = machine.rpartition("-")[2].split(".")
    try:
        return (int(version[0]), int(version[1])) >= (6, 2)
    except (ValueError, IndexError):
        return True
