"""Options of test harnesses: -qtest, -qtest-log, --preconfig, and -rtc's choice of clock."""

from __future__ import annotations

from qmpemu.edge import keyval
from qmpemu.edge.argv.chardev_options import compat_chardev
from qmpemu.edge.argv.parser import Parser, Unprefixed, option
from qmpemu.edge.keyval import OptionError

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
    known = parser.profile.parameters("rtc")
    wrong = next((name for name in options if name not in known), None)
    if wrong is not None:
        raise OptionError(f"Invalid parameter '{wrong}'")
    parser.config.rtc_virtual = options.pop("clock", "host") == "vm"
    base = options.get("base", "utc")
    if base not in ("utc", "localtime") and not _is_date(base):
        raise Unprefixed("invalid datetime format\nvalid formats: '2006-06-17T16:01:21' or '2006-06-17'")
    policy = options.get("driftfix", "none")
    if policy not in ("none", "slew"):
        raise Unprefixed(f"invalid option value '{policy}'")
    parser.config.rtc_slews = policy == "slew"
    if options:
        parser.config.not_emulated.append(parser.typed)


def _is_date(text: str) -> bool:
    """YYYY-MM-DD, with Thh:mm:ss or without."""
    shape = "".join("0" if char.isdigit() else char for char in text)
    return shape in ("0000-00-00", "0000-00-00T00:00:00")
