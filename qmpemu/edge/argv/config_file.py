"""-readconfig: options from a file, a group of lines for each, as Proxmox and LXD give their machines.

[device "ehci"]               -device id=ehci,driver=ich9-usb-ehci1
  driver = "ich9-usb-ehci1"

A line is read as QEMU reads it: without white space around `=` all of it is the parameter's name. Messages name the
file and the last line of the group (measured on QEMU 7.2).
"""

from __future__ import annotations

from qmpemu.core.json_text import loads
from qmpemu.edge.argv.parser import Parser, option
from qmpemu.edge.keyval import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Group = tuple[str, dict[str, str], int]

OPTIONS = {"memory": "m", "smp-opts": "smp", "boot-opts": "boot"}
"""Groups that have another name than their option."""
AT = "\x01"
"""Stands before a file's name and line in a message, where else an option is."""


@option("readconfig")
def _readconfig(parser: Parser, path: str) -> None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except IsADirectoryError:
        raise OptionError("Cannot read config file: Is a directory") from None
    except OSError as error:
        raise OptionError(f"Could not open '{path}': {error.strerror}") from None
    try:
        for group, values, number in _groups(path, lines):
            _check(parser, group, f"{AT}{path}:{number}")
            argument = ",".join(f"{name}={value.replace(',', ',,')}" for name, value in values.items())
            parser.option(OPTIONS.get(group, group), f"{AT}{path}:{number}", argument)
    except OptionError as error:
        error.located = True
        raise


def _check(parser: Parser, group: str, where: str) -> None:
    recorded = parser.profile.reply("none", "tcg", "query-command-line-options", None)
    assert isinstance(recorded, bytes)
    if all(each["option"] != group for each in loads(recorded)):
        raise OptionError(f"{where}: There is no option group '{group}'")


def _groups(path: str, lines: list[str]) -> Iterator[Group]:
    """Name, parameters and last line of each. Raises OptionError."""
    group: str | None = None
    values: dict[str, str] = {}
    last = 0
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if group is not None:
                yield group, values, last
            name, quote, rest = line[1:].partition("]")[0].partition('"')
            group, values = name.strip(), {"id": rest.partition('"')[0]} if quote else {}
            continue
        last = number
        if line.isspace():
            raise OptionError(f"{AT}{path}:{number}: parse error")
        if group is None:
            raise OptionError(f"{AT}{path}:{number}: no group defined")
        name, value = _parameter(line)
        if "=" in name:
            raise OptionError(f"{AT}{path}:{number}: Invalid parameter '{name}'")
        values[name] = value
    if group is not None:
        yield group, values, last


def _parameter(line: str) -> tuple[str, str]:
    name, *rest = line.split(None, 1)
    equals, _, quoted = (rest[0] if rest else "").partition('"')
    return name, quoted.partition('"')[0] if equals.strip() == "=" else ""
