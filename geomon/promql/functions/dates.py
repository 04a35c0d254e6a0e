"""Functions of a date: seconds since the epoch in the Gregorian calendar of UTC, of any year."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE = 146_097 * 86_400
"""Seconds of 400 years, after which the calendar is the same, weekdays included."""
_FIRST = -9_223_372_028_715_321_600
"""Where Go's calendar begins, in the year -292277022399; what is before comes round again."""


def _seconds(value: float) -> int:
    """The number as Go's `int64` has it on x86: what does not fit, NaN too, is the smallest."""
    seconds = int(value) if -(2.0**63) <= value < 2.0**63 else -(2**63)
    return seconds if seconds >= _FIRST else seconds + 2**64


def _of_date(read: Callable[[datetime], int]) -> Callable[[float], float]:
    def of_seconds(value: float) -> float:
        return float(read(_EPOCH + timedelta(seconds=_seconds(value) % _CYCLE)))

    return of_seconds


_year_of_cycle = _of_date(lambda date: date.year)


def _year(value: float) -> float:
    return _year_of_cycle(value) + _seconds(value) // _CYCLE * 400


DATES: dict[str, Callable[[float], float]] = {
    "day_of_month": _of_date(lambda date: date.day),
    "day_of_week": _of_date(lambda date: date.isoweekday() % 7),
    "day_of_year": _of_date(lambda date: date.timetuple().tm_yday),
    "days_in_month": _of_date(lambda date: monthrange(date.year, date.month)[1]),
    "hour": _of_date(lambda date: date.hour),
    "minute": _of_date(lambda date: date.minute),
    "month": _of_date(lambda date: date.month),
    "year": _year,
}
"""They mean the time of evaluation when they have no argument."""
