"""Short forms of devices: -drive, -hda, -nic, -net, -serial, -parallel, -usbdevice, -nographic.

They are noted here, and read once all options are known (`default_options`), which needs more than a start without
them has to import.
"""

from __future__ import annotations

import sys

from qmpemu.core.options import is_identifier
from qmpemu.edge import keyval
from qmpemu.edge.argv.chardev_options import compat_chardev
from qmpemu.edge.argv.device_options import add_usb
from qmpemu.edge.argv.parser import Parser, option
from qmpemu.edge.keyval import OptionError

BAD_ESCAPE = "Bad argument to echr"
IMAGES = {
    "hda": "index=0,media=disk",
    "hdb": "index=1,media=disk",
    "hdc": "index=2,media=disk",
    "hdd": "index=3,media=disk",
    "cdrom": "index=2,media=cdrom",
    "fda": "if=floppy,index=0",
    "fdb": "if=floppy,index=1",
    "sd": "if=sd",
    "mtdblock": "if=mtd",
    "pflash": "if=pflash",
}


@option("drive")
def _drive(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument)
    if "=" not in argument.partition(",")[0] and "file" not in options:
        raise OptionError("Must specify either driver or file")
    _check_unique("drive", options, [given for given, _ in parser.drives])
    parser.drives.append((options, parser.typed))


@option(*IMAGES)
def _image(parser: Parser, path: str) -> None:
    name = parser.typed.split()[0].lstrip("-")
    parser.drives.append(({**keyval.parse(IMAGES[name]), "file": path}, parser.typed))


@option("snapshot")
def _snapshot(parser: Parser, _: str) -> None:
    parser.temporary = True


@option("nic")
def _nic(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument, "type")
    _check_unique("nic", options, [given for kind, given, _ in parser.networks if kind == "nic"])
    parser.networks.append(("nic", options, parser.typed))


@option("net")
def _net(parser: Parser, argument: str) -> None:
    parser.networks.append(("net", keyval.parse(argument, "type"), parser.typed))


@option("serial")
def _serial(parser: Parser, where: str) -> None:
    parser.lines["serial"].append((where, parser.typed))


@option("parallel")
def _parallel(parser: Parser, where: str) -> None:
    parser.lines["parallel"].append((where, parser.typed))


@option("debugcon")
def _debug_console(parser: Parser, where: str) -> None:
    """Where firmware writes what it does: a device like those of -device, behind them."""
    failed = f"{{prefix}}invalid character backend '{where}'"
    if parser.debug_console is not None:
        raise OptionError(
            f"attempt to add duplicate property 'debugcon' to object (type 'container')\n{failed}"
        )
    try:
        if any(each.label == DEBUG_CONSOLE for each in parser.config.chardevs):
            raise OptionError(f"Duplicate ID '{DEBUG_CONSOLE}' for chardev")
        parser.add_chardev(compat_chardev(DEBUG_CONSOLE, where))
    except OptionError as error:
        raise OptionError(f"{str(error).partition(chr(10))[0]}\n{failed}") from None
    parser.process.sequels[DEBUG_CONSOLE] = failed.removeprefix("{prefix}")
    parser.debug_console = parser.typed


DEBUG_CONSOLE = "debugcon"


@option("usbdevice")
def _usbdevice(parser: Parser, name: str) -> None:
    add_usb(parser.config)
    parser.usb_devices.append((name, parser.typed))


@option("nographic")
def _nographic(parser: Parser, _: str) -> None:
    parser.nographic = parser.config.nographic = True


@option("echr")
def _escape(parser: Parser, text: str) -> None:
    try:
        parser.process.escape = int(text, 8 if text[:1] == "0" and text.isdigit() else 0)
    except ValueError:
        print(BAD_ESCAPE, file=sys.stderr)


def finish(parser: Parser) -> None:
    """Complete the configuration. Raises OptionError, Unprefixed."""
    config = parser.config
    if parser.debug_console is not None:
        given: dict[str, object] = {"driver": "isa-debugcon", "id": DEBUG_CONSOLE, "chardev": DEBUG_CONSOLE}
        config.devices.insert(parser.plain_devices, given)
        config.typed.setdefault("device", []).insert(parser.plain_devices, parser.debug_console)
        parser.plain_devices += 1
    if parser.plain_netdevs:
        from qmpemu.edge.argv import netdev_options

        netdev_options.check_all(parser.plain_netdevs)
    short = (
        parser.drives
        or parser.networks
        or any(parser.lines.values())
        or config.usb_controllers
        or parser.sound
    )
    if config.nodefaults and not short and config.vga in (None, "none"):
        return
    from qmpemu.edge.argv import default_options

    default_options.finish(parser)


def _check_unique(kind: str, options: dict[str, str], others: list[dict[str, str]]) -> None:
    name = options.get("id")
    if name is not None and not is_identifier(name):
        raise OptionError(
            "Parameter 'id' expects an identifier\n"
            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
        )
    if name is not None and any(each.get("id") == name for each in others):
        raise OptionError(f"Duplicate ID '{name}' for {kind}")
