"""QEMU's command line -> a machine's configuration and what the process around it shall do.

    parser            the pass itself; what it gathers        process_options   -daemonize, -pidfile, -msg, -version
    device_options    -device, -netdev, -usb                processor_options  -cpu, -smp
    chardev_options   -qmp, -chardev, -mon, -serial           machine_options   -machine, -smp, -device, -action, ...
    qtest_options     -qtest, -qtest-log, --preconfig, -rtc       display_options   -vnc, -vga, -display
    numa_options    -numa                               kernel_options    -kernel, -initrd, -append, -dtb
    file_systems      -fsdev, -virtfs                       groups            the words of an option of a group
    short_options     -drive, -hda, -nic, -serial, ...        default_options   what is there unless told otherwise
    checked_options   those that change nothing here        config_file       -readconfig
    boot_menu         -boot splash=, splash-time=, ...  object_options    -object
    gdb_options       -gdb, -s                              audio_options     -audiodev, -audio

Error texts as measured on QEMU 7.2 (facts/qmp-wire.md §13).
"""

from __future__ import annotations

from qmpemu.edge.argv import (
    chardev_options,
    checked_options,
    device_options,
    display_options,
    machine_options,
    process_options,
    processor_options,
    qtest_options,
    short_options,
)
from qmpemu.edge.argv.parser import BARE, STAMPED, Monitor, Parser, ProcessOptions, Shown, Unprefixed
from qmpemu.edge.keyval import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmpemu.machine.config import MachineConfig
    from qmpemu.profile import Profile

__all__ = ["BARE", "STAMPED", "Monitor", "ProcessOptions", "Shown", "parse_command_line"]

OPTION_FILES = (
    chardev_options,
    checked_options,
    device_options,
    processor_options,
    display_options,
    machine_options,
    process_options,
    qtest_options,
    short_options,
)
"""Imported so that they register their options; those of rare ones (`parser.RARE`) come when one is met."""


def parse_command_line(words: list[str], profile: Profile) -> tuple[MachineConfig, ProcessOptions]:
    """Parse QEMU's command line (without argv[0]). Raises OptionError whose text is QEMU's, prefix not included."""
    parser = Parser(profile)
    try:
        parser.parse(words)
        _finish(parser)
    except OptionError as error:
        error.warnings = parser.warnings()
        raise
    except Unprefixed as error:
        refused = OptionError(str(error))
        refused.stamped, refused.program = error.stamped, error.program
        refused.warnings = parser.warnings()
        raise refused from None
    parser.config.warnings = parser.warnings()
    return parser.config, parser.process


def _finish(parser: Parser) -> None:
    """What is looked at once all options are known. Raises OptionError, Unprefixed."""
    try:
        display_options.choose(parser)
        short_options.finish(parser)
        processor_options.tell_of_levels(parser)
        machine_options.choose_accelerator(parser)
        machine_options.tell_of_type(parser)
        if parser.audio:
            from qmpemu.edge.argv import audio_options

            audio_options.check(parser)
        checked_options.check_speaker(parser)
        machine_options.check_size(parser)
        _finish_rare(parser)
        display_options.finish(parser)
    except (OptionError, Unprefixed) as error:
        error.stamped = parser.process.timestamps
        raise


def _finish_rare(parser: Parser) -> None:
    """Of options that most command lines lack. Raises OptionError, Unprefixed."""
    if parser.numa:
        from qmpemu.edge.argv import numa_options

        numa_options.finish(parser)
    if parser.debuggers:
        from qmpemu.edge.argv import gdb_options

        gdb_options.finish(parser)
    if parser.boots:
        from qmpemu.edge.argv import kernel_options

        kernel_options.check(parser.boots, parser.config.family)
    if parser.config.spice is not None:
        from qmpemu.edge.argv import spice_options

        spice_options.finish(parser, parser.config.spice)
