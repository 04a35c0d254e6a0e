"""Functions of a whole vector, or of time."""

from __future__ import annotations

import math

from geomon.promql.context import Context
from geomon.promql.values import Column, Labels, Scalar, Vector, merged, nameless, present


def time(context: Context) -> Scalar:
    """Seconds since the epoch at every step."""
    return [at / 1000 for at in context.steps]


def pi(context: Context) -> Scalar:
    """π."""
    return [math.pi] * len(context.steps)


def vector(context: Context, number: Scalar) -> Vector:
    """A number as a vector without labels."""
    return [Column({}, number)]


def scalar(context: Context, values: Vector) -> Scalar:
    """The value of the only sample; NaN if it is not the only one."""
    numbers = []
    for row in _rows(values, context):
        there = [value for value in row if value is not None]
        numbers.append(there[0] if len(there) == 1 else math.nan)
    return numbers


def timestamp(context: Context, values: Vector) -> Vector:
    """The time of the samples, which is that of the evaluation."""
    now = time(context)
    columns = []
    for labels, row in values:
        pairs = zip(row, now, strict=True)
        results = [None if value is None else at for value, at in pairs]
        columns.append(Column(nameless(labels), results))
    return merged(columns)


def sort(context: Context, values: Vector) -> Vector:
    """By value, NaN last; of one step only."""
    return _sorted(context, values, 1)


def sort_desc(context: Context, values: Vector) -> Vector:
    """By value, the largest first, NaN last; of one step only."""
    return _sorted(context, values, -1)


def absent(context: Context, values: Vector, labels: Labels) -> Vector:
    """1 where the vector is empty."""
    rows = _rows(values, context)
    return present(
        [Column(labels, [None if any(v is not None for v in row) else 1.0 for row in rows])]
    )


def _rows(values: Vector, context: Context) -> list[tuple[float | None, ...]]:
    if not values:
        return [()] * len(context.steps)
    return list(zip(*(column.values for column in values), strict=True))


def _sorted(context: Context, values: Vector, sign: int) -> Vector:
    if len(context.steps) > 1:
        return values

    def order(column: Column) -> tuple[bool, float]:
        value = column.values[0]
        return (True, 0.0) if value is None or value != value else (False, sign * value)

    return sorted(values, key=order)
