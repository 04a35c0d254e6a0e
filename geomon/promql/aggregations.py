"""Aggregation: a group of series becomes one, or the few that matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence

from geomon.promql import floats, sums
from geomon.promql.context import Context
from geomon.promql.errors import PromQLError
from geomon.promql.quantiles import quantile
from geomon.promql.values import Column, Labels, Scalar, Vector, merged, present


def largest(values: Sequence[float]) -> float:
    """The largest; NaN only if all are."""
    return max((value for value in values if value == value), default=math.nan)


def smallest(values: Sequence[float]) -> float:
    """The smallest; NaN only if all are."""
    return min((value for value in values if value == value), default=math.nan)


def _variance(values: Sequence[float]) -> float:
    """By Welford's method, uncompensated; NaN unless the first is finite."""
    if not math.isfinite(values[0]):
        return math.nan
    average, squares = values[0], 0.0
    for count, value in enumerate(values[1:], 2):
        delta = value - average
        average += delta / count
        squares += delta * (value - average)
    return squares / len(values)


SIMPLE: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sums.total,
    "avg": sums.mean,
    "min": smallest,
    "max": largest,
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
    "stddev": lambda values: floats.root(_variance(values)),
    "stdvar": _variance,
}


class Grouping:
    """`by` or `without` some labels."""

    def __init__(self, labels: Sequence[str], without: bool) -> None:
        self._names = frozenset(labels) | ({"__name__"} if without else frozenset())
        self._without = without

    def labels(self, labels: Labels) -> Labels:
        """The labels of the group that a series belongs to."""
        names = self._names
        if self._without:
            return {name: value for name, value in labels.items() if name not in names}
        return {name: labels[name] for name in names if name in labels}

    def _key(self, labels: Labels) -> Hashable:
        if self._without:
            return frozenset(self.labels(labels).items())
        return tuple(map(labels.get, self._names))

    def groups(self, vector: Vector) -> Iterator[tuple[Labels, list[Column]]]:
        """The series of each group, with the group's labels."""
        found: dict[Hashable, tuple[Labels, list[Column]]] = {}
        for column in vector:
            key = self._key(column.labels)
            if key not in found:
                found[key] = (self.labels(column.labels), [])
            found[key][1].append(column)
        yield from found.values()


def simple(operator: str, grouping: Grouping, vector: Vector, context: Context) -> Vector:
    """One value a group: `sum`, `avg` and so on."""
    reduce = SIMPLE[operator]
    return _reduced(lambda values, _: reduce(values), grouping, vector, context)


def quantiles(shares: Scalar, grouping: Grouping, vector: Vector, context: Context) -> Vector:
    """The quantile of each group."""
    return _reduced(lambda values, step: quantile(shares[step], values), grouping, vector, context)


def _reduced(
    reduce: Callable[[Sequence[float], int], float],
    grouping: Grouping,
    vector: Vector,
    context: Context,
) -> Vector:
    columns = []
    for labels, members in grouping.groups(vector):
        context.budget.hold(len(context.steps))
        values: list[float | None] = []
        for step, row in enumerate(zip(*(column.values for column in members), strict=True)):
            there = row if None not in row else [value for value in row if value is not None]
            values.append(reduce(there, step) if there else None)
        columns.append(Column(labels, values))
    return columns


def extremes(
    largest_first: bool, counts: Scalar, grouping: Grouping, vector: Vector, context: Context
) -> Vector:
    """`topk` and `bottomk`: the series themselves; NaN comes last."""
    limits = _whole(counts)
    chosen: list[Column] = []
    for _, members in grouping.groups(vector):
        context.budget.hold(len(context.steps) * len(members))
        if len(context.steps) == 1:
            members.sort(key=lambda column: _order(column.values[0], largest_first))
        ranks = _ranks(members, largest_first)
        for column, places in zip(members, ranks, strict=True):
            pairs = zip(column.values, places, limits, strict=True)
            kept = [value if place < limit else None for value, place, limit in pairs]
            chosen.append(Column(column.labels, kept))
    return present(chosen)


def _ranks(members: Sequence[Column], largest_first: bool) -> list[list[int]]:
    """The place of every series among its group, at every step."""
    places = [[0] * len(column.values) for column in members]
    for step in range(len(members[0].values)):
        there = [index for index, one in enumerate(members) if one.values[step] is not None]
        there.sort(key=lambda index: _order(members[index].values[step], largest_first))
        for place, index in enumerate(there):
            places[index][step] = place
    return places


def _order(value: float | None, largest_first: bool) -> tuple[bool, float]:
    if value is None or value != value:
        return True, 0.0
    return False, -value if largest_first else value


def _whole(counts: Scalar) -> list[int]:
    if any(map(math.isnan, counts)):
        raise PromQLError("Parameter value is NaN")
    for count in counts:
        if not -(2.0**63) <= count < 2.0**63:
            over = "overflows" if count > 0 else "underflows"
            raise PromQLError(f"Scalar value {floats.text(count)} {over} int64")
    return [int(count) for count in counts]


def counted(label: str, grouping: Grouping, vector: Vector, context: Context) -> Vector:
    """`count_values`: how often each value is there, the value as a label."""
    steps = len(context.steps)
    found: dict[Hashable, tuple[Labels, list[float | None]]] = {}
    for column in vector:
        for step, value in enumerate(column.values):
            if value is None:
                continue
            labels = grouping.labels({**column.labels, label: floats.text(value)})
            key = frozenset(labels.items())
            if key not in found:
                context.budget.hold(steps)
                found[key] = (labels, [None] * steps)
            counts = found[key][1]
            counts[step] = (counts[step] or 0.0) + 1
    return merged(Column(labels, counts) for labels, counts in found.values())
