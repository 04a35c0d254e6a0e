"""Answers to queries, and when two of them are one."""

from __future__ import annotations

import math

from geomon.promql import PromQLError, query
from geomon.series import SeriesStore
from tests.promql.notation import Labels

Answer = list[tuple[Labels, float]] | str
"""Samples with their labels, a number as one without; or the text of an error."""


def ours(text: str, store: SeriesStore, at: float) -> Answer:
    """Give geomon's answer to an instant query."""
    try:
        given = query(text, store, at=float(at))
    except PromQLError as error:
        return str(error)
    if isinstance(given, float | int):
        return [({}, float(given))]
    return [(dict(sample.labels), sample.value) for sample in given]


def same(theirs: Answer, given: Answer) -> bool:
    """Tell whether two answers have the same series with close values, or both are errors."""
    if isinstance(theirs, str) or isinstance(given, str):
        return isinstance(theirs, str) and isinstance(given, str)
    one, other = _by_labels(theirs), _by_labels(given)
    return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)


def _by_labels(
    answer: list[tuple[Labels, float]],
) -> dict[frozenset[tuple[str, str]], float]:
    return {frozenset(labels.items()): value for labels, value in answer}


def _close(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-8)
