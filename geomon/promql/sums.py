"""Sums that lose little: Kahan's, with Neumaier's improvement, where Prometheus sums so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from geomon.promql import floats


def add(increment: float, total: float, compensation: float) -> tuple[float, float]:
    """The new total, and what it lacks."""
    raised = total + increment
    if raised in (math.inf, -math.inf):
        return raised, 0.0
    if abs(total) >= abs(increment):
        return raised, compensation + ((total - raised) + increment)
    return raised, compensation + ((increment - raised) + total)


def total(values: Iterable[float]) -> float:
    """The sum."""
    result = compensation = 0.0
    for value in values:  # `add`, written out: most of the time of a sum is here
        raised = result + value
        if raised - raised != 0:  # an infinity, or NaN
            compensation = 0.0
        elif abs(result) >= abs(value):
            compensation += (result - raised) + value
        else:
            compensation += (value - raised) + result
        result = raised
    return result + compensation


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value; of huge ones too, whose sum would overflow."""
    result, compensation = values[0], 0.0
    for index in range(1, len(values)):
        raised, lacking = add(values[index], result, compensation)
        if raised in (math.inf, -math.inf):
            return _mean_of_huge(values, index, result, compensation)
        result, compensation = raised, lacking
    return result / len(values) + compensation / len(values)


def _mean_of_huge(values: Sequence[float], index: int, result: float, compensation: float) -> float:
    average, compensation = result / index, compensation / index
    for count, value in enumerate(values[index:], index + 1):
        share = (count - 1) / count
        average, compensation = add(value / count, share * average, share * compensation)
    return average + compensation


def variance(values: Sequence[float]) -> float:
    """The population variance, by Welford's method."""
    average = lack = squares = squares_lack = 0.0
    for count, value in enumerate(values, 1):
        delta = value - (average + lack)
        average, lack = add(delta / count, average, lack)
        squares, squares_lack = add(delta * (value - (average + lack)), squares, squares_lack)
    return (squares + squares_lack) / len(values)


def regression(times: Sequence[int], values: Sequence[float], origin: int) -> tuple[float, float]:
    """Slope a second, and value at `origin`, of the straight line through the samples."""
    first = values[0]
    if all(value == first for value in values):
        return (math.nan, math.nan) if math.isinf(first) else (0.0, first)
    count = len(values)
    xs = [(time - origin) / 1000 for time in times]
    x, y = total(xs), total(values)
    xy = total(a * b for a, b in zip(xs, values, strict=True))
    xx = total(a * a for a in xs)
    spread = xx - x * x / count
    slope = floats.divide(xy - x * y / count, spread)
    return slope, y / count - slope * x / count
