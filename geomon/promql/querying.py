"""`query` and `query_range`: from a text to an answer."""

from __future__ import annotations

import math
from typing import Any

from geomon.promql.context import LOOKBACK, SUBQUERY_STEP, Context
from geomon.promql.errors import PromQLError
from geomon.promql.evaluating import evaluate
from geomon.promql.limits import Budget, Limits
from geomon.promql.parsing import parse
from geomon.promql.tree import Node
from geomon.promql.values import RangeSeries, Sample, Vector
from geomon.promql.windows import Matrix
from geomon.series import SeriesStore

Answer = list[Sample] | list[RangeSeries] | float | str


def query(
    expr: str,
    store: SeriesStore,
    at: float,
    *,
    lookback: float = LOOKBACK,
    subquery_step: float = SUBQUERY_STEP,
    limits: Limits | None = None,
) -> Answer:
    """Evaluates an expression at one time.

    Args:
        expr: PromQL.
        store: The samples.
        at: Seconds since the epoch.
        lookback: Seconds that a sample stands (Prometheus's lookback delta).
        subquery_step: Seconds between the steps of subqueries that name none: Prometheus's
            evaluation interval.
        limits: What the query may cost.

    Returns:
        Samples for an instant vector, a float for a scalar, a str for a string, series with
        their points for a range vector.

    Raises:
        PromQLError: If the query is wrong, or has no answer.
    """
    time = _milliseconds(at, "at")
    steps = range(time, time + 1)
    node = parse(expr)
    context = _context(store, steps, lookback, subquery_step, limits or Limits())
    return _answer(node, _evaluated(node, context))


def query_range(
    expr: str,
    store: SeriesStore,
    start: float,
    end: float,
    step: float,
    *,
    lookback: float = LOOKBACK,
    subquery_step: float = SUBQUERY_STEP,
    limits: Limits | None = None,
) -> list[RangeSeries]:
    """Evaluates an expression at `start`, and every `step` seconds until `end`.

    The arguments are those of `query`.

    Returns:
        Series in order of their labels; a scalar is one series without labels.

    Raises:
        PromQLError: If the query is wrong, has no answer, or has too many steps.
    """
    limits = limits or Limits()
    first, last = _milliseconds(start, "start"), _milliseconds(end, "end")
    interval = _positive(step, "step")
    if last < first:
        raise PromQLError("the end of a range query must not be before its start")
    if (last - first) // interval + 1 > limits.steps:
        raise PromQLError(f"a range query has at most {limits.steps} steps: use a larger step")
    node = parse(expr)
    if node.kind not in ("scalar", "vector"):
        raise PromQLError(
            f"invalid expression type {_SHOWN[node.kind]!r} for range query, "
            "must be Scalar or instant Vector"
        )
    steps = range(first, last + 1, interval)
    context = _context(store, steps, lookback, subquery_step, limits)
    value = _evaluated(node, context)
    if node.kind == "scalar":
        return [RangeSeries({}, _points(steps, value))]
    return _ordered(value, steps)


_SHOWN = {"matrix": "range vector", "string": "string"}


def _evaluated(node: Node, context: Context) -> Any:
    try:
        return evaluate(node, context)
    except RecursionError:
        raise PromQLError("the query is nested too deeply") from None


def _context(
    store: SeriesStore, steps: range, lookback: float, subquery_step: float, limits: Limits
) -> Context:
    return Context(
        store=store,
        steps=steps,
        start=steps[0],
        end=steps[-1],
        lookback=_positive(lookback, "lookback"),
        subquery_step=_positive(subquery_step, "subquery_step"),
        budget=Budget(limits),
    )


def _answer(node: Node, value: Any) -> Answer:
    if node.kind == "vector":
        return [Sample(dict(labels), values[0]) for labels, values in value]
    if node.kind == "matrix":
        return _matrix(value)
    answer: float | str = value if node.kind == "string" else value[0]
    return answer


def _matrix(matrix: Matrix) -> list[RangeSeries]:
    series = []
    for samples in matrix.series:
        for window in matrix.windows(samples):
            if window is not None:
                points = zip(window.times, window.values, strict=True)
                found = [(time / 1000, value) for time, value in points]
                series.append(RangeSeries(dict(samples.labels), found))
    return sorted(series, key=_order)


def _ordered(vector: Vector, steps: range) -> list[RangeSeries]:
    series = [RangeSeries(dict(labels), _points(steps, values)) for labels, values in vector]
    return sorted(series, key=_order)


def _order(series: RangeSeries) -> list[tuple[str, str]]:
    return sorted(series.labels.items())


def _points(steps: range, values: Any) -> list[tuple[float, float]]:
    pairs = zip(steps, values, strict=True)
    return [(time / 1000, value) for time, value in pairs if value is not None]


def _milliseconds(seconds: float, name: str) -> int:
    if not abs(seconds) < 1e12 or math.isnan(seconds):
        raise PromQLError(f"{name} is not a time in seconds: {seconds!r}")
    return round(seconds * 1000)


def _positive(seconds: float, name: str) -> int:
    time = _milliseconds(seconds, name)
    if time < 1:
        raise PromQLError(f"{name} must be at least a millisecond, not {seconds!r}")
    return time
