"""The time of day as Windows shows it: 24 hours, the day by name, in the guest's own clock."""

from __future__ import annotations

from qmpemu.core import calendar
from qmpemu.core.clock import NS_PER_S

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def time_text(now_ns: int) -> str:
    """`14:05`."""
    *_, hour, minute, _ = calendar.split(now_ns // NS_PER_S)
    return f"{hour}:{minute:02}"


def date_text(now_ns: int) -> str:
    """`Monday, January 1`."""
    _, month, day, weekday, *_ = calendar.split(now_ns // NS_PER_S)
    return f"{DAYS[weekday - 1]}, {MONTHS[month - 1]} {day}"
