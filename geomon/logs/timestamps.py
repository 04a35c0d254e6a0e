"""The timestamp of a record: RFC 3339 in UTC, always 27 characters."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_LAST = 999_999.5  # microseconds; more are the next second
_second = (0, "1970-01-01T00:00:00.")


def timestamp(created: float) -> str:
    """`2026-11-24T18:30:00.123456Z` of seconds since the epoch.

    Raises:
        ValueError, OverflowError: no year from 1 to 9999 has this second.
    """
    second, text = _second  # read once: another thread may replace it
    micros = (created - second) * 1e6
    if 0 <= micros < _LAST:
        return "%s%06dZ" % (text, micros + 0.5)  # noqa: UP031 - a third of an f-string's time
    return _of_new_second(created)


def _of_new_second(created: float) -> str:
    global _second
    second = math.floor(created)
    micros = round((created - second) * 1e6)
    if micros == 1_000_000:
        second, micros = second + 1, 0
    text = datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat() + "."
    _second = (second, text)
    return f"{text}{micros:06d}Z"
