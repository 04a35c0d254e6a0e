"""Quantiles of values."""

from __future__ import annotations

import math
from collections.abc import Iterable


def quantile(share: float, values: Iterable[float]) -> float:
    """The quantile, between two values in proportion; NaN is the smallest of values."""
    ordered = sorted(values, key=lambda value: (value == value, value))
    if not ordered or math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    weight = rank - low
    return ordered[low] * (1 - weight) + ordered[high] * weight
