"""The human monitor's verbs that add something by options in plain form: drive_add, netdev_add, device_add.

Texts as measured on QEMU 7.2: what is wrong with an id is told to the host's operator, not to the client.
"""

from __future__ import annotations

from qmpemu.commands.hmp.words import Misread, read
from qmpemu.core.options import OptionError, is_identifier, parse
from qmpemu.core.table import Refused
from qmpemu.qmp.errors import QmpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.commands.registry import Context

    Given = dict[str, str]

PARAMETERS = {
    "drive_add": "node:!n pci_addr:s options:s",
    "netdev_add": "options:s?",
    "device_add": "options:s?",
}
NO_IDENTIFIER = """\
Parameter 'id' expects an identifier
Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."""
UNEXPECTED = ("Parameter ", " is unexpected")


def run(ctx: Context, verb: str, words: list[str]) -> str | None:
    """Run a verb of this file; None if it is none of them."""
    if verb not in PARAMETERS:
        return None
    try:
        return VERBS[verb](ctx, read(verb, PARAMETERS[verb], words))
    except Misread as error:
        return f"{error}\r\n{_help(verb)}"


def _help(verb: str) -> str:
    return f'Try "help {verb}" for more information\r\n'


def _drive_add(ctx: Context, given: Given) -> str:
    """A drive without a device, or with -n a node."""
    try:
        return _node(ctx, given["options"]) if "node" in given else _drive(ctx, parse(given["options"]))
    except (OptionError, Refused, QmpError) as error:
        text = f"{error}\n{error.hint}" if isinstance(error, Refused) and error.hint else str(error)
        return text.replace("\n", "\r\n") + "\r\n"


def _drive(ctx: Context, options: Given) -> str:
    from qmpemu.machine.block import old_drives

    machine = ctx.machine
    known = old_drives.present(machine.blocks)
    if any(each.id == options.get("id") for each in known):
        raise Refused(f"Duplicate ID '{options['id']}' for drive")
    made = old_drives.made(options, machine.config.family, known)
    drive = old_drives.add(machine.block_layer, made)
    if made.interface == "none":
        return "OK\r\n"
    old_drives.forget(machine.blocks, drive)
    raise Refused(f"Can't hot-add drive to type {old_drives.INTERFACES.index(made.interface)}")


def _node(ctx: Context, text: str) -> str:
    from qmpemu.qmp.keyval_tree import tree, typed

    members = tree(text, "driver")
    if "node-name" not in members:
        raise Refused("'node-name' needs to be specified")
    schema = ctx.profile.schema
    try:
        members = typed(schema, "blockdev-add", members)
        schema.check("blockdev-add", members)
        ctx.commands("blockdev-add", members)
    except QmpError as error:
        raise Refused(_unknown_driver(members, error.desc)) from None
    return ""


def _unknown_driver(members: dict[str, object], text: str) -> str:
    """Drivers are not looked up as in QMP."""
    name = members.get("driver")
    return f"Unknown driver '{name}'" if text.endswith(f"does not accept value '{name}'") else text


def _netdev_add(ctx: Context, given: Given) -> str:
    from qmpemu.qmp.keyval_tree import tree, typed

    text = given.get("options", "")
    options = parse(text, "type") if text else {}
    for name in ("id", "type"):
        if name not in options:
            return f"Error: Parameter '{name}' is missing\r\n"
    wrong = f"Duplicate ID '{options['id']}' for netdev" if options["id"] in ctx.machine.netdevs.all else None
    if not is_identifier(options["id"]):
        wrong = NO_IDENTIFIER
    if wrong is not None:
        ctx.machine.host.complain(wrong)
        return _help("netdev_add")
    schema = ctx.profile.schema
    try:
        members = typed(schema, "netdev_add", tree(text, "type"))
        schema.check("netdev_add", members)
        ctx.commands("netdev_add", members)
    except (OptionError, Refused, QmpError) as error:
        return f"Error: {_invalid(str(error))}\r\n"
    return ""


def _invalid(text: str) -> str:
    """As options say it, not QMP."""
    before, after = UNEXPECTED
    if text.startswith(before) and text.endswith(after):
        return f"Invalid parameter {text.removeprefix(before).removesuffix(after)}"
    return text


def _device_add(ctx: Context, given: Given) -> str:
    text = given.get("options", "")
    options = parse(text, "driver") if text else {}
    if not is_identifier(options.get("id", "id")):
        ctx.machine.host.complain(NO_IDENTIFIER)
        return _help("device_add")
    if options.get("driver") in ("help", "?"):
        listed = ctx.profile.help("device")
        if listed is not None:
            return listed.replace("\n", "\r\n")
    if "driver" not in options:
        return "Error: Parameter 'driver' is missing\r\n"
    try:
        ctx.commands("device_add", dict(options))
    except (OptionError, Refused, QmpError) as error:
        return f"Error: {error}\r\n"
    return ""


VERBS: dict[str, Callable[[Context, Given], str]] = {
    "drive_add": _drive_add,
    "netdev_add": _netdev_add,
    "device_add": _device_add,
}
