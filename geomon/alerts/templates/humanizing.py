"""`humanize` and its family: numbers for people, as Prometheus writes them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from geomon.alerts.templates import floats
from geomon.alerts.templates.errors import ExpansionError
from geomon.alerts.templates.values import type_name
from geomon.promql.floats import number

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_float(value: Any) -> float:
    """A number, or a text that is one.

    Raises:
        ExpansionError: If it is neither.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise ExpansionError(f"can't convert {type_name(value)} to float")
    found = None if "x" in value.lower() else number(value)
    if found is None or (math.isinf(found) and "i" not in value.lower()):
        raise ExpansionError(f"{value[:100]!r} is no number")
    return found


def humanize(value: Any) -> str:
    """`1234567` is `1.235M`, `0.001` is `1m`."""
    size = as_float(value)
    if size == 0 or not math.isfinite(size):
        return _short(size)
    if abs(size) >= 1:
        return _grown(size, 1000, _LARGE)
    return _shrunk(size)


def humanize1024(value: Any) -> str:
    """`1048576` is `1Mi`."""
    size = as_float(value)
    if abs(size) <= 1 or not math.isfinite(size):
        return _short(size)
    return _grown(size, 1024, _BINARY)


def humanize_percentage(value: Any) -> str:
    """`0.25` is `25%`."""
    return _short(as_float(value) * 100) + "%"


def humanize_duration(value: Any) -> str:
    """Seconds: `3725` is `1h 2m 5s`, `0.25` is `250ms`."""
    seconds = as_float(value)
    if not math.isfinite(seconds):
        return _short(seconds)
    if abs(seconds) < 1:
        return (_shrunk(seconds) if seconds else _short(seconds)) + "s"
    sign = "-" if seconds < 0 else ""
    whole = int(abs(seconds))
    if whole < 60:
        return f"{sign}{_short(abs(seconds))}s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    while not parts[0][0]:
        del parts[0]
    return sign + " ".join(f"{count}{unit}" for count, unit in parts)


def humanize_timestamp(value: Any) -> str:
    """Seconds since the epoch: `1970-01-01 00:25:00 +0000 UTC`.

    Raises:
        ExpansionError: If it is none that Go can hold.
    """
    seconds = as_float(value)
    if not math.isfinite(seconds):
        return _short(seconds)
    nanoseconds = seconds * 1e9
    if not -(2**63) <= nanoseconds <= 2**63:
        shown = floats.shortest(seconds)
        raise ExpansionError(f"{shown} cannot be represented as a nanoseconds timestamp")
    milliseconds = int(math.copysign(abs(int(nanoseconds)) // 10**6, nanoseconds))
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    fraction = f".{moment.microsecond // 1000:03d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _grown(size: float, base: int, prefixes: tuple[str, ...]) -> str:
    used = ""
    for prefix in prefixes:
        if abs(size) < base:
            break
        used, size = prefix, size / base
    return _short(size) + used


def _shrunk(size: float) -> str:
    used = ""
    for prefix in _SMALL:
        if abs(size) >= 1:
            break
        used, size = prefix, size * 1000
    return _short(size) + used


def _short(value: float) -> str:
    return floats.fixed(value, "g", 4)
