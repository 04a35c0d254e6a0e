"""Prometheus's durations: `5m`, `1h30m`, `500ms`."""

from __future__ import annotations

import re

_UNITS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_WRITTEN = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in _UNITS))
_LONGEST = (2**63 - 1) // 1_000_000  # milliseconds; Go counts nanoseconds in 64 bits
_EXAMPLE = 'write whole numbers with units, largest first: "5m", "1h30m", "1d", "500ms"'


def parse(text: str) -> float:
    """The seconds of a duration.

    Raises:
        ValueError: If Prometheus would not read it.
    """
    match = _WRITTEN.fullmatch(text)
    if text == "0":
        return 0.0
    if not text or match is None:
        raise ValueError(f"{text[:50]!r} is no duration: {_EXAMPLE}")
    pairs = zip(match.groups(), _UNITS.values(), strict=True)
    total = sum(_count(digits) * unit for digits, unit in pairs if digits)
    if total > _LONGEST:
        raise ValueError(f"{text[:50]!r} is too long: a duration has at most 292 years")
    return total / 1000


def _count(digits: str) -> int:
    return int(digits) if len(digits) < 20 else _LONGEST + 1


def text(seconds: float) -> str:
    """The duration as Prometheus writes it, to the millisecond.

    Raises:
        ValueError: If it is negative, or no number.
    """
    left = _milliseconds(seconds)
    written = ""
    for unit, size in _UNITS.items():
        if unit in "yw" and left % size:
            continue  # 90d is easier to read than 12w6d
        count, left = divmod(left, size)
        written += f"{count}{unit}" if count else ""
    return written or "0s"


def seconds(value: float | str, what: str) -> float:
    """Seconds, given as a number or as a duration's text.

    Args:
        value: What was given.
        what: Its name, for the error.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is negative, not finite, or no duration.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f'{what}={value!r}: write seconds, or a duration such as "5m"')
    try:
        return parse(value) if isinstance(value, str) else _milliseconds(value) / 1000
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _milliseconds(seconds: float) -> int:
    if not 0 <= seconds <= _LONGEST / 1000:
        raise ValueError(f'{seconds!r} is no duration: write seconds from 0 up, or "5m"')
    return round(seconds * 1000)
