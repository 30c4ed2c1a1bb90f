"""Options of test harnesses: -qtest, -qtest-log, --preconfig, and -rtc's choice of clock."""

from __future__ import annotations

from qmpemu.edge import keyval
from qmpemu.edge.argv.chardev_options import compat_chardev
from qmpemu.edge.argv.parser import Parser, option

QTEST_LABEL = "qtest"
"""The label that QEMU gives the character device."""


@option("qtest")
def _qtest(parser: Parser, where: str) -> None:
    parser.config.qtest = parser.add_chardev(compat_chardev(QTEST_LABEL, where)).label


@option("qtest-log")
def _qtest_log(parser: Parser, path: str) -> None:
    parser.config.qtest_log = path


@option("preconfig")
def _preconfig(parser: Parser, _: str) -> None:
    parser.config.preconfig = True


@option("rtc")
def _rtc(parser: Parser, argument: str) -> None:
    options = keyval.parse(argument)
    parser.config.rtc_virtual = options.pop("clock", "host") == "vm"
    if options:
        parser.config.not_emulated.append(parser.typed)
