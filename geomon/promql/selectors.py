"""Instant vector selectors: the newest sample that is not too old, and not ended."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from geomon.promql.context import Context
from geomon.promql.tree import Select
from geomon.promql.values import Column, Vector, merged, nameless
from geomon.series import Samples


def instant(select: Select, context: Context) -> Vector:
    """The vector that a selector chooses, at every step."""
    return _columns(select, context, lambda samples, index: samples.values[index])


def timestamps(select: Select, context: Context) -> Vector:
    """The times in seconds of the samples that a selector chooses, at every step."""
    vector = _columns(select, context, lambda samples, index: samples.times[index] / 1000)
    return merged(Column(nameless(labels), values) for labels, values in vector)


def load(select: Select, window: int, references: range, context: Context) -> list[Samples]:
    """The samples of all windows that end at the references."""
    first, last = references[0] - window, references[-1]
    found = context.store.select(select.matchers, first, last)
    context.budget.choose(len(found))
    context.budget.hold(sum(len(samples.times) for samples in found))
    return found


def _columns(select: Select, context: Context, read: Callable[[Samples, int], float]) -> Vector:
    references = context.references(select.offset, select.at)
    found = load(select, context.lookback, references, context)
    context.budget.hold(len(found) * len(context.steps))
    repeats = len(context.steps) // len(references)
    columns = []
    for samples in found:
        indexes = [_newest(samples, time, context.lookback) for time in references]
        if any(index >= 0 for index in indexes):
            values = [read(samples, index) if index >= 0 else None for index in indexes]
            columns.append(Column(samples.labels, values * repeats))
    return columns


def _newest(samples: Samples, time: int, lookback: int) -> int:
    """The index of the sample that stands at a time, or -1."""
    times = samples.times
    index = bisect_right(times, time) - 1
    if index < 0 or times[index] <= time - lookback:
        return -1
    if samples.ends:
        ended = bisect_right(samples.ends, time) - 1
        if ended >= 0 and samples.ends[ended] > times[index]:
            return -1
    return index
