"""Options that concern the process and not the machine."""

from __future__ import annotations

from qmpemu.edge import keyval
from qmpemu.edge.argv.parser import Parser, option


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
    parser.process.timestamps = keyval.switch("timestamp", keyval.parse(argument).get("timestamp", "off"))


@option("pidfile")
def _pidfile(parser: Parser, path: str) -> None:
    parser.process.pidfile = path
