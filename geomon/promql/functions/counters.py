"""Functions of a window that know counters and slopes."""

from __future__ import annotations

from itertools import pairwise

from geomon.promql import sums
from geomon.promql.windows import Window


def rate(window: Window) -> float | None:
    """Increase a second."""
    return _extrapolated(window, (window.end - window.start) / 1000)


def increase(window: Window) -> float | None:
    """How much a counter rose, extrapolated to the whole window, but not below zero."""
    return _extrapolated(window, 1.0)


def _extrapolated(window: Window, parts: float) -> float | None:
    if len(window.values) < 2:
        return None
    raised, first = _risen(window.values), window.values[0]
    span = (window.times[-1] - window.times[0]) / 1000
    before, after = _margins(window, span)
    if raised > 0 and first >= 0:
        before = min(before, span * (first / raised))
    return raised * ((span + before + after) / span / parts)


def delta(window: Window) -> float | None:
    """How much a gauge changed, extrapolated to the whole window."""
    if len(window.values) < 2:
        return None
    span = (window.times[-1] - window.times[0]) / 1000
    before, after = _margins(window, span)
    return (window.values[-1] - window.values[0]) * ((span + before + after) / span)


def _risen(values: list[float]) -> float:
    raised = values[-1] - values[0]
    if sorted(values) != values:
        for earlier, later in pairwise(values):
            if later < earlier:  # a reset: it has lost what it had
                raised += earlier
    return raised


def _margins(window: Window, span: float) -> tuple[float, float]:
    """Seconds to extrapolate over at both ends: all, if samples are about as dense there."""
    times = window.times
    apart = span / (len(times) - 1)
    before, after = (times[0] - window.start) / 1000, (window.end - times[-1]) / 1000
    limit = apart * 1.1
    return apart / 2 if before >= limit else before, apart / 2 if after >= limit else after


def irate(window: Window) -> float | None:
    """Increase a second between the last two samples."""
    if len(window.values) < 2:
        return None
    earlier, last = window.values[-2:]
    raised = last if last < earlier else last - earlier
    return raised / ((window.times[-1] - window.times[-2]) / 1000)


def idelta(window: Window) -> float | None:
    """The difference of the last two samples."""
    if len(window.values) < 2:
        return None
    return window.values[-1] - window.values[-2]


def resets(window: Window) -> float:
    """How often a value is lower than the one before."""
    return float(sum(b < a for a, b in pairwise(window.values)))


def changes(window: Window) -> float:
    """How often a value is another than the one before; NaN is the same as NaN."""
    pairs = pairwise(window.values)
    return float(sum(a != b and (a == a or b == b) for a, b in pairs))


def deriv(window: Window) -> float | None:
    """The slope a second of the straight line through the samples."""
    if len(window.values) < 2:
        return None
    return sums.regression(window.times, window.values, window.times[0])[0]


def predict_linear(window: Window, ahead: float, now: float) -> float | None:
    """What that line says `ahead` seconds after `now`."""
    if len(window.values) < 2:
        return None
    slope, value = sums.regression(window.times, window.values, round(now * 1000))
    return slope * ahead + value
