"""Range vectors: the samples of a window that is open on the left, at every step."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from geomon.promql.context import Context
from geomon.promql.limits import Budget
from geomon.promql.selectors import load
from geomon.promql.tree import SelectRange, Subquery
from geomon.promql.values import Column, Vector
from geomon.series import Samples

_NO_ENDS: array[int] = array("q")


class Window(NamedTuple):
    """The samples of one series in one window, at least one.

    Attributes:
        times: Milliseconds, rising.
        values: A value for each time.
        start: Where the window begins.
        end: Where it ends.
    """

    times: Sequence[int]
    values: list[float]
    start: int
    end: int


class Matrix(NamedTuple):
    """A range vector.

    Attributes:
        series: The samples of all windows.
        length: How long a window is.
        ends: Where the windows end: for every step, or one for all.
        budget: What looking at them is taken from.
        one_name: Whether all series have the same name, so that they differ without it.
    """

    series: list[Samples]
    length: int
    ends: range
    budget: Budget
    one_name: bool = False

    def windows(self, samples: Samples) -> Iterator[Window | None]:
        """The windows of one series; None where it has no sample."""
        times, values, length = samples.times, samples.values, self.length
        if len(self.ends) == 1:  # the store gave no more than the one window
            end = self.ends[0]
            self.budget.read(len(times))
            yield Window(times, values.tolist(), end - length, end) if times else None
            return
        low = high = 0
        for end in self.ends:
            low = bisect_right(times, end - length, low)
            high = bisect_right(times, end, high if high > low else low)
            if low == high:
                yield None
                continue
            self.budget.read(high - low)
            yield Window(times[low:high], values[low:high].tolist(), end - length, end)


def selected(node: SelectRange, context: Context) -> Matrix:
    """The range vector that a selector chooses."""
    ends = context.references(node.select.offset, node.select.at)
    series = load(node.select, node.range, ends, context)
    one_name = node.select.matchers.name is not None
    return Matrix(series, node.range, ends, context.budget, one_name)


def subquery(node: Subquery, context: Context, evaluate: Callable[[Context], Vector]) -> Matrix:
    """The range vector of an expression that is evaluated at multiples of the step."""
    ends = context.references(node.offset, node.at)
    step = node.step or context.subquery_step
    first = ((ends[0] - node.range) // step + 1) * step
    count = (ends[-1] - first) // step + 1
    if count <= 0:
        return Matrix([], node.range, ends, context.budget)
    context.budget.hold(count)
    steps = range(first, first + count * step, step)
    columns = evaluate(context.over(steps))
    return Matrix([_samples(one, steps) for one in columns], node.range, ends, context.budget)


def _samples(column: Column, steps: range) -> Samples:
    pairs = zip(steps, column.values, strict=True)
    found = [(time, value) for time, value in pairs if value is not None]
    times, values = zip(*found, strict=True) if found else ((), ())
    return Samples(column.labels, array("q", times), array("d", values), _NO_ENDS)
