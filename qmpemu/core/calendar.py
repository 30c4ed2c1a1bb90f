"""The Gregorian calendar: seconds since 1970 (UTC) <-> year, month, day, hour, minute, second.

Written out because the standard library's calendars belong to modules that the floors below the edge may not import.
"""

from __future__ import annotations

DAYS_TO_1970 = 719_468
"""From 0000-03-01, where a year of this arithmetic begins, so that the leap day is its last."""


def split(moment_s: int) -> tuple[int, int, int, int, int, int, int]:
    """Year, month, day, weekday (Sunday is 1), hour, minute, second."""
    days, second_of_day = divmod(moment_s, 86_400)
    era, day_of_era = divmod(days + DAYS_TO_1970, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = era * 400 + year_of_era + (month <= 2)
    minute_of_day, second = divmod(second_of_day, 60)
    return year, month, day, (days + 4) % 7 + 1, minute_of_day // 60, minute_of_day % 60, second


def join(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since 1970. Members out of their range carry over, but for the month, which is 1 to 12."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return (days - DAYS_TO_1970) * 86_400 + hour * 3600 + minute * 60 + second
