"""Timestamps in the one form that sorts as text: `2026-11-24T18:30:00.123456Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from geomon import clock

_AGO = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 1e11  # a number this large counts milliseconds: in seconds, the year 5138


def canonical(timestamp: Any) -> str | None:
    """A record's timestamp in the form that sorts; None where it is not a time.

    Args:
        timestamp: RFC 3339 text (one without a zone is UTC), or seconds or milliseconds since the
            epoch.
    """
    if type(timestamp) is str:
        if len(timestamp) == 27 and timestamp[26] == "Z" and timestamp[10] == "T":
            return timestamp
        return _from_text(timestamp)
    if isinstance(timestamp, (int, float)) and not isinstance(timestamp, bool):
        return _from_number(timestamp)
    return None


def bound(name: str, value: datetime | str) -> str:
    """A filter's `since` or `until` in the form that sorts.

    Args:
        name: What the filter is called in an error.
        value: A datetime with a zone, RFC 3339 text (without a zone: UTC, as in the records), or
            how long ago: `15m`, `2h`, `1d`, `1h30m`.

    Raises:
        ValueError: The value is none of these.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} has no time zone: write datetime.now(timezone.utc), or text")
        return _text(value)
    text = value.strip() if isinstance(value, str) else ""
    if _AGO.fullmatch(text):
        return _ago(name, text)
    found = _from_text(text)
    if found is None:
        raise ValueError(
            f"{name}={value!r} is not a time: write 2026-11-24T18:30:00Z, 2026-11-24, "
            "or how long ago, as in 15m, 2h or 1d"
        )
    return found


def _ago(name: str, text: str) -> str:
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    try:
        return _text(_EPOCH + timedelta(seconds=clock.wall() - seconds))
    except OverflowError:
        raise ValueError(f"{name}={text!r} is longer ago than years are counted") from None


def _from_text(text: str) -> str | None:
    try:
        time = datetime.fromisoformat(text)
        return _text(time if time.tzinfo is not None else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _from_number(number: float) -> str | None:
    seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    try:
        return _text(_EPOCH + timedelta(seconds=seconds))
    except (ValueError, OverflowError):
        return None


def _text(time: datetime) -> str:
    naive = time.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="microseconds") + "Z"
