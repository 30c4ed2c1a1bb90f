"""-gdb and -s: where a debugger may come. There is no virtual CPU for it: it is told so (`edge.gdb`)."""

from __future__ import annotations

from qmpemu.edge.argv.chardev_options import compat_chardev
from qmpemu.edge.argv.parser import Parser, option
from qmpemu.edge.keyval import OptionError
from qmpemu.machine.chardev import Chardev

LABEL = "gdb"
SERVES = {"server": "on", "wait": "off", "nodelay": "on"}
"""What a TCP address has whatever it says itself."""


@option("gdb")
def _gdb(parser: Parser, where: str) -> None:
    parser.debuggers.append((where, parser.typed))


@option("s")
def _gdb_here(parser: Parser, _: str) -> None:
    parser.debuggers.append(("tcp::1234", parser.typed))


def finish(parser: Parser) -> None:
    """Make the character devices: where it comes in, and the one for commands of its own. Raises OptionError."""
    for where, typed in parser.debuggers:
        parser.typed = typed
        try:
            _add(parser, where)
        except OptionError as error:
            raise OptionError(f"{typed}: {str(error).partition(chr(10))[0]}") from None


def _add(parser: Parser, where: str) -> None:
    config = parser.config
    if config.family == "none":
        raise OptionError("gdbstub: meaningless to attach gdb to a machine without any CPU.")
    if config.debugger is not None:
        raise OptionError("duplicate yank instance")
    backend, _, name = where.partition(":")
    if backend == "chardev":
        if all(each.label != name for each in config.chardevs):
            raise OptionError(f'chardev "{name}" not found')
        config.debugger = name
    elif where != "none":
        made = compat_chardev(LABEL, where)
        if backend == "tcp":
            made.options |= SERVES
        config.debugger = parser.add_chardev(made).label
    own = parser.add_chardev(Chardev(OWN_LABEL, LABEL, {}))
    own.taken = own.frontend_open = True


OWN_LABEL = "#chr000"
"""QEMU takes the last two digits by chance."""
