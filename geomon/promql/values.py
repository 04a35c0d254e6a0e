"""The values of expressions, at every step of a query at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from geomon.promql.errors import PromQLError

Labels: TypeAlias = Mapping[str, str]
Values: TypeAlias = Sequence[float | None]
"""A value a step; None where there is no sample."""


class Sample(NamedTuple):
    """A sample of an instant vector."""

    labels: dict[str, str]
    value: float


class RangeSeries(NamedTuple):
    """A series over time: `(seconds, value)`, in order."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class Column(NamedTuple):
    """A series of an instant vector over the steps of a query."""

    labels: Labels
    values: Values


Vector: TypeAlias = list[Column]
Scalar: TypeAlias = list[float]

DUPLICATE = "vector cannot contain metrics with the same labelset"


def nameless(labels: Labels) -> Labels:
    """The labels without the metric's name."""
    return {name: value for name, value in labels.items() if name != "__name__"}


def merged(columns: Iterable[Column]) -> Vector:
    """Columns of the same labels as one; empty ones are left out.

    Raises:
        PromQLError: If two of them have a sample at the same step.
    """
    found: dict[frozenset[tuple[str, str]], Column] = {}
    for column in present(columns):
        key = frozenset(column.labels.items())
        other = found.get(key)
        found[key] = column if other is None else _joined(other, column)
    return list(found.values())


def unique(columns: Iterable[Column]) -> Vector:
    """The columns that are not empty.

    Raises:
        PromQLError: If two have the same labels.
    """
    vector = present(columns)
    if len({frozenset(column.labels.items()) for column in vector}) != len(vector):
        raise PromQLError(DUPLICATE)
    return vector


def present(columns: Iterable[Column]) -> Vector:
    """The columns that have a sample at any step."""
    return [column for column in columns if column.values.count(None) < len(column.values)]


def overlap(one: Values, other: Values) -> bool:
    """Whether both have a sample at some step."""
    return any(a is not None and b is not None for a, b in zip(one, other, strict=True))


def _joined(one: Column, other: Column) -> Column:
    if overlap(one.values, other.values):
        raise PromQLError(DUPLICATE)
    pairs = zip(one.values, other.values, strict=True)
    return Column(one.labels, [b if a is None else a for a, b in pairs])
