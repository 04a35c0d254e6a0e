"""Classic histograms: buckets that are series with the label `le`."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Hashable
from itertools import groupby
from typing import TypeAlias

from geomon.promql import floats
from geomon.promql.context import Context
from geomon.promql.values import Column, Labels, Scalar, Values, Vector, merged

_SMALL = 1e-12
_LEAST_NORMAL = 2.2250738585072014e-308


Bucket: TypeAlias = tuple[float, float]
"""A bound, and how many observations were at most that."""


def histogram_quantile(_: Context, shares: Scalar, vector: Vector) -> Vector:
    """The quantile of every histogram."""
    return _of_histograms(vector, lambda buckets, step: quantile(shares[step], buckets))


def histogram_fraction(_: Context, lows: Scalar, highs: Scalar, vector: Vector) -> Vector:
    """The share of observations between two values, of every histogram."""
    return _of_histograms(vector, lambda buckets, step: fraction(lows[step], highs[step], buckets))


def _of_histograms(vector: Vector, read: Callable[[list[Bucket], int], float]) -> Vector:
    columns = []
    for labels, bounds, members in _histograms(vector):
        values: list[float | None] = []
        for step, row in enumerate(zip(*members, strict=True)):
            pairs = zip(bounds, row, strict=True)
            buckets = [(bound, count) for bound, count in pairs if count is not None]
            values.append(read(buckets, step) if buckets else None)
        columns.append(Column(labels, values))
    return merged(columns)


def _histograms(vector: Vector) -> list[tuple[Labels, list[float], list[Values]]]:
    """The labels, bounds and counts of each histogram, by bound."""
    found: dict[Hashable, tuple[Labels, list[tuple[float, Values]]]] = {}
    for labels, values in vector:
        bound = floats.number(labels.get("le", ""))
        if bound is None:
            continue
        rest = {name: value for name, value in labels.items() if name != "le"}
        key = frozenset(rest.items())
        if key not in found:
            rest.pop("__name__", None)
            found[key] = (rest, [])
        found[key][1].append((bound, values))
    histograms = []
    for labels, members in found.values():
        members.sort(key=lambda member: member[0])
        histograms.append((labels, [m[0] for m in members], [m[1] for m in members]))
    return histograms


def quantile(share: float, buckets: list[Bucket]) -> float:
    """The quantile, in proportion inside its bucket. The buckets are in order of their bounds."""
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    if buckets[-1][0] != math.inf:
        return math.nan
    bounds, counts = _rising(buckets)
    if len(bounds) < 2 or not counts[-1]:
        return math.nan
    rank = share * counts[-1]
    index = _search(counts, rank)
    if index == len(counts) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[index - 1], counts[index - 1]) if index else (0.0, 0.0)
    inside = floats.divide(rank - below, counts[index] - below)
    return start + (bounds[index] - start) * inside


def _search(counts: list[float], rank: float) -> int:
    """The first bucket that reaches the rank, else the last; NaN reaches none, as in Go."""
    return bisect_left(counts, True, 0, len(counts) - 1, key=lambda count: count >= rank)


def _rising(buckets: list[Bucket]) -> tuple[list[float], list[float]]:
    """Bounds and counts: one a bound, and no count below the one before."""
    bounds, counts = _coalesced(buckets)
    highest = counts[0]
    for index, count in enumerate(counts):
        if count < highest or _almost(highest, count):
            counts[index] = highest
        else:
            highest = count
    return bounds, counts


def _coalesced(buckets: list[Bucket]) -> tuple[list[float], list[float]]:
    bounds, counts = [], []
    for bound, same in groupby(buckets, key=lambda bucket: bucket[0]):
        bounds.append(bound)
        counts.append(sum(count for _, count in same))
    return bounds, counts


def _almost(one: float, other: float) -> bool:
    if one == other:
        return True
    size, apart = abs(one) + abs(other), abs(one - other)
    if one == 0 or other == 0 or size < _LEAST_NORMAL:
        return apart < _SMALL * _LEAST_NORMAL
    return floats.divide(apart, min(size, 1.7976931348623157e308)) < _SMALL


def fraction(low: float, high: float, buckets: list[Bucket]) -> float:
    """The share of observations above `low` and up to `high`."""
    if buckets[-1][0] != math.inf:
        return math.nan
    bounds, counts = _coalesced(buckets)
    whole = counts[-1]
    if not whole or math.isnan(low) or math.isnan(high):
        return math.nan
    if low >= high:
        return 0.0
    below_high, below_low = _below(high, bounds, counts), _below(low, bounds, counts)
    return (min(below_high, whole) - min(below_low, whole)) / whole


def _below(value: float, bounds: list[float], counts: list[float]) -> float:
    """How many observations are below a value, in proportion inside its bucket."""
    rank, start = 0.0, -math.inf
    for index, (bound, count) in enumerate(zip(bounds, counts, strict=True)):
        if start >= value:
            return rank
        if bound > value:
            begin = 0.0 if index == 0 and bound > 0 else start
            return rank + (count - rank) * floats.divide(value - begin, bound - begin)
        rank, start = count, bound
    return counts[-1]
