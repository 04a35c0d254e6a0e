"""Functions of a window: `sum_over_time` and its like."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from geomon.promql import floats, sums
from geomon.promql.aggregations import largest, smallest
from geomon.promql.context import Context
from geomon.promql.functions import counters
from geomon.promql.quantiles import quantile
from geomon.promql.values import Column, Scalar, Values, Vector, nameless, present, unique
from geomon.promql.windows import Matrix, Window

WINDOWED: dict[str, Callable[..., float | None]] = {
    "avg_over_time": lambda window: sums.mean(window.values),
    "changes": counters.changes,
    "count_over_time": lambda window: float(len(window.values)),
    "delta": counters.delta,
    "deriv": counters.deriv,
    "idelta": counters.idelta,
    "increase": counters.increase,
    "irate": counters.irate,
    "last_over_time": lambda window: window.values[-1],
    "max_over_time": lambda window: largest(window.values),
    "min_over_time": lambda window: smallest(window.values),
    "predict_linear": counters.predict_linear,
    "present_over_time": lambda window: 1.0,
    "quantile_over_time": lambda window, share: quantile(share, window.values),
    "rate": counters.rate,
    "resets": counters.resets,
    "stddev_over_time": lambda window: floats.root(sums.variance(window.values)),
    "stdvar_over_time": lambda window: sums.variance(window.values),
    "sum_over_time": lambda window: sums.total(window.values),
}
"""Each takes a window and the numbers that the function has for this step."""


def over_windows(name: str, matrix: Matrix, numbers: list[Scalar], context: Context) -> Vector:
    """A function of every window of a range vector.

    Raises:
        PromQLError: If two series become the same.
    """
    function = WINDOWED[name]
    steps = context.steps
    if name == "predict_linear":
        numbers = [*numbers, [time / 1000 for time in steps]]
    columns = []
    for samples in matrix.series:
        labels = samples.labels if name == "last_over_time" else nameless(samples.labels)
        windows = matrix.windows(samples)
        if len(matrix.ends) < len(steps):  # `@` fixes one window for all
            windows = iter([*windows] * len(steps))
        columns.append(Column(labels, _read(function, windows, numbers)))
    return present(columns) if matrix.one_name else unique(columns)


def _read(
    function: Callable[..., float | None],
    windows: Iterable[Window | None],
    numbers: list[Scalar],
) -> Values:
    if not numbers:
        return [None if window is None else function(window) for window in windows]
    return [
        None if window is None else function(window, *given)
        for window, *given in zip(windows, *numbers, strict=True)
    ]
