"""What the machine is: type, accelerator, memory, firmware, and what it does on reboot and shutdown."""

from __future__ import annotations

import os

from qmpemu.core.json_text import loads
from qmpemu.core.options import HEX_SUFFIXES
from qmpemu.core.table import Refused
from qmpemu.edge import keyval
from qmpemu.edge.argv import groups, machine_values
from qmpemu.edge.argv.device_options import add_usb
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.actions import ACTION_VALUES
from qmpemu.machine.config import Global
from qmpemu.machine.devices.options import OFF, ON, integer


@option("S")
def _start_paused(parser: Parser, _: str) -> None:
    parser.config.start_paused = True


@option("no-shutdown")
def _no_shutdown(parser: Parser, _: str) -> None:
    _set_action(parser, "shutdown", "pause")


@option("no-reboot")
def _no_reboot(parser: Parser, _: str) -> None:
    _set_action(parser, "reboot", "shutdown")


@option("action")
def _action(parser: Parser, argument: str) -> None:
    for key, value in keyval.parse(argument).items():
        if key not in ACTION_VALUES:
            raise OptionError(f"Invalid parameter '{key}'")
        _set_action(parser, key, value)


def _set_action(parser: Parser, key: str, value: str) -> None:
    """The last word counts; whether it is a word at all is looked at when every option was read."""
    parser.action_source = parser.action_source or parser.typed
    parser.config.actions[key] = value


@option("watchdog-action")
def _watchdog_action(parser: Parser, argument: str) -> None:
    _set_action(parser, "watchdog", argument)


@option("name")
def _name(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "guest")
    wrong = next((key for key in options if key not in ("guest", "process", "debug-threads")), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'")
    keyval.switch("debug-threads", options.get("debug-threads", "off"))
    parser.config.name = options.get("guest", parser.config.name)


@option("bios")
def _bios(parser: Parser, path: str) -> None:
    parser.config.firmware = path
    size = os.path.getsize(path) if os.path.isfile(path) else SHIPPED_FIRMWARE.get(path, 0)
    parser.config.firmware_bytes = size
    if not size or size % FIRMWARE_UNIT_BYTES:
        raise Unprefixed(f"could not load PC BIOS '{path}'", program="qemu")


FIRMWARE_UNIT_BYTES = 1 << 16
SHIPPED_FIRMWARE = {
    "bios.bin": 2 << 16,
    "bios-256k.bin": 4 << 16,
    "bios-microvm.bin": 1 << 16,
    "qboot.rom": 1 << 16,
}
"""Firmware that comes with QEMU and is named without a path: its size in bytes."""


@option("uuid")
def _uuid(parser: Parser, text: str) -> None:
    uuid = groups.grouped_uuid(text)
    if uuid is None:
        raise OptionError("failed to parse UUID string: wrong format")
    parser.config.uuid = uuid


@option("machine", "M")
def _machine(parser: Parser, argument: str) -> None:
    machine_values.items(argument)
    options = keyval.parse(argument, "type")
    if "type" in options:
        parser.config.machine = _machine_type(parser, options["type"])
    parser.config.main_memory = options.get("memory-backend", parser.config.main_memory)
    if "accel" in options:
        parser.machine_accel = options["accel"]
    machine_values.check(parser, options)
    switches = {name: options[name] in ON for name in machine_values.SWITCHES if name in options}
    if switches.get("usb"):
        add_usb(parser.config)
    parser.config.switches.update(switches)
    for name in machine_values.AUTOMATIC:
        if name in options:
            value = options[name]
            parser.config.choices[name] = "on" if value in ON else "off" if value in OFF else value
    parser.config.flash.update({chip: options[chip] for chip in ("pflash0", "pflash1") if options.get(chip)})


FAMILIES = ("pc-i440fx-", "pc-q35-")
"""Beginnings of the types that are emulated, `none` beside them."""


def tell_of_type(parser: Parser) -> None:
    """Warn of one that will be gone."""
    if parser.deprecated:
        parser.config.warnings.append(
            f"warning: Machine type '{parser.config.machine}' is deprecated: "
            "old and unattended - use a newer version instead"
        )


def _machine_type(parser: Parser, name: str) -> str:
    if name == "none":
        return name
    recorded = parser.profile.reply("none", "tcg", "query-machines", None)
    assert isinstance(recorded, bytes)
    for machine in loads(recorded):
        if name in (machine["name"], machine.get("alias")):
            if not machine["name"].startswith(FAMILIES):
                raise Unprefixed(f"qmpemu does not emulate machines of the type '{machine['name']}'")
            parser.deprecated = bool(machine.get("deprecated"))
            return str(machine["name"])
    raise Unprefixed("unsupported machine type\nUse -machine help to list supported machines")


ACCELERATORS = {
    "tcg": ("tcg", {"thread": "thread", "tb-size": "uint32", "split-wx": "bool"}),
    "kvm": (
        "KVM",
        {
            "kernel-irqchip": "irqchip",
            "kvm-shadow-mem": "int",
            "dirty-ring-size": "uint32",
            "notify-vmexit": "any",
            "notify-window": "uint32",
        },
    ),
    "qtest": ("QTest", {}),
}
"""Accelerator -> what it calls itself, and the kinds of its properties."""


@option("accel")
def _accel(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "accel")
    name = options.pop("accel", "")
    parser.accelerators.append((name, parser.typed))
    for key, value in options.items():
        _check_property(name, key, value)


def _check_property(accel: str, name: str, value: str) -> None:
    """Of an accelerator that is there; what others have is not known."""
    if accel not in ACCELERATORS:
        return
    kind = ACCELERATORS[accel][1].get(name)
    if kind is None:
        raise OptionError(f"Property '{accel}-accel.{name}' not found")
    if kind == "thread" and value not in ("single", "multi"):
        raise OptionError(f"Invalid 'thread' setting {value}")
    if kind == "irqchip" and value not in ("on", "off", "split"):
        raise OptionError(f"Parameter '{name}' does not accept value '{value}'")
    if kind == "bool":
        keyval.switch(name, value)
    if kind in ("int", "uint32"):
        try:
            integer(name, kind, value)
        except Refused as refused:
            text = str(refused).replace("expects integer", f"expects {'u' * (kind == 'uint32')}int64")
            raise OptionError(text) from None


@option("enable-kvm")
def _enable_kvm(parser: Parser, _: str) -> None:
    parser.machine_accel = "kvm"


def choose_accelerator(parser: Parser) -> None:
    """Take the first that is there of all that were named. Raises Unprefixed."""
    named = parser.accelerators
    if parser.machine_accel is not None:
        if named:
            raise Unprefixed('The -accel and "-machine accel=" options are incompatible')
        named = [(name, "") for name in parser.machine_accel.split(":")]
    refused: list[str] = []
    for name, typed in named:
        if name in ACCELERATORS and (name != "kvm" or parser.profile.kvm_recorded):
            parser.config.accel = "kvm" if name == "kvm" else "tcg"
            parser.config.qtest_accel = name == "qtest"
            if refused:
                parser.config.warnings += [*refused, f"falling back to {ACCELERATORS[name][0]}"]
            return
        refused.append(f"{typed}: invalid accelerator {name}" if typed else f"invalid accelerator {name}")
    if refused:
        parser.config.warnings += refused[:-1]
        raise Unprefixed(refused[-1])


MEMORY_GRANULE = 8192
"""What the machine's memory is a multiple of."""


@option("m")
def _memory(parser: Parser, argument: str) -> None:
    options = groups.read(parser, "memory", argument, "size")
    config = parser.config
    size = options.get("size", "128")
    keyval.size("size", size, "B")  # 1.5 is looked at as it is, and none
    if size[:2].lower() == "0x" and size[-1:].upper() in HEX_SUFFIXES:
        parser.warn(f"{OF_HEX}: {size}")
    in_mega = f"{size}M" if size[-1:].isdigit() else size
    asked = keyval.size("size", in_mega, "B")
    if in_mega[:2].lower() == "0x" and in_mega[-1:].upper() in HEX_SUFFIXES:
        config.warnings.append(f"warning: {OF_HEX}: {in_mega}")
    config.memory_asked_bytes = -(-asked // MEMORY_GRANULE) * MEMORY_GRANULE or None
    if "slots" in options and "maxmem" not in options:
        raise Unprefixed("slots specified but no max-size")
    if "maxmem" in options:
        config.memory_slots = int(options.get("slots", "0"), 0) % (1 << 64)
        config.memory_most_bytes = keyval.size("maxmem", options["maxmem"], "B")
        if config.memory_most_bytes < config.memory_bytes:
            raise Unprefixed(
                f"invalid value of maxmem: maximum memory size (0x{config.memory_most_bytes:x}) must be at least the "
                f"initial memory size (0x{config.memory_bytes:x})"
            )
        if config.memory_slots and config.memory_most_bytes == config.memory_bytes:
            raise Unprefixed(
                "invalid value of maxmem: memory slots were specified but maximum memory size "
                f"(0x{config.memory_most_bytes:x}) is equal to the initial memory size (0x{config.memory_bytes:x})"
            )


MOST_SLOTS = 256
OF_HEX = "Using a multiplier suffix on hex numbers is deprecated"


def check_size(parser: Parser) -> None:
    """Whether a machine of that type can have so many processors, and so much memory. Raises Unprefixed."""
    config = parser.config
    if config.cpus_max > 1 and config.family != "none":
        recorded = parser.profile.reply("none", "tcg", "query-machines", None)
        assert isinstance(recorded, bytes)
        most = next(each["cpu-max"] for each in loads(recorded) if each["name"] == config.machine)
        if config.cpus_max > most:
            raise Unprefixed(
                f"Invalid SMP CPUs {config.cpus_max}. The max CPUs supported by machine '{config.machine}' is {most}"
            )
    if config.memory_slots > MOST_SLOTS:
        raise Unprefixed(f"unsupported amount of memory slots: {config.memory_slots}")
    if config.memory_path is not None and config.main_memory is not None:
        raise Unprefixed("'-mem-path' can't be used together with'-machine memory-backend'")


@option("mem-path")
def _memory_path(parser: Parser, path: str) -> None:
    parser.config.memory_path = path


@option("mem-prealloc")
def _memory_at_once(parser: Parser, _: str) -> None:
    parser.config.memory_at_once = True


@option("incoming")
def _incoming(parser: Parser, uri: str) -> None:
    parser.config.incoming = uri


@option("loadvm")
def _loadvm(parser: Parser, tag: str) -> None:
    parser.config.loadvm = tag


@option("global")
def _global(parser: Parser, argument: str) -> None:
    path, equals, value = argument.partition("=")
    driver, dot, name = path.partition(".")
    if not (equals and dot and driver and name):
        options = groups.read(parser, "global", argument)
        if not {"driver", "property", "value"} <= options.keys():
            raise OptionError("options 'driver', 'property', and 'value' are required")
        driver, name, value = options["driver"], options["property"], options["value"]
    parser.config.globals.append(Global(driver, name, value))


@option("nodefaults")
def _nodefaults(parser: Parser, _: str) -> None:
    parser.config.nodefaults = True


@option("no-acpi")
def _no_acpi(parser: Parser, _: str) -> None:
    _machine(parser, "acpi=off")


@option("no-hpet")
def _no_hpet(parser: Parser, _: str) -> None:
    _machine(parser, "hpet=off")


def _nothing(parser: Parser, _: str) -> None:
    """Options that ask for what qmpemu does anyway: no graphics, no user configuration files."""


option("no-user-config")(_nothing)
