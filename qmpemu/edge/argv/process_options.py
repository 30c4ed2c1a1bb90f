"""Options that concern the process and not the machine."""

from __future__ import annotations

from qmpemu.edge import keyval
from qmpemu.edge.argv.parser import Parser, option
from qmpemu.edge.keyval import OptionError


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
    options = keyval.parse(argument)
    wrong = next((key for key in options if key not in ("timestamp", "guest-name")), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'")
    keyval.switch("guest-name", options.get("guest-name", "off"))
    parser.process.timestamps = keyval.switch("timestamp", options.get("timestamp", "off"))


@option("pidfile")
def _pidfile(parser: Parser, path: str) -> None:
    parser.process.pidfile = path
