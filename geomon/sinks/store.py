"""Counters, gauges and histograms of one process, with the interface of prometheus-client's.

They cost a third of those and are the same on `/metrics`, but for the `_created` series, which they
do not have; a family is a custom collector of the registry. Custom collectors do not exist in
multiprocess mode, so prometheus-client's own metrics serve there. While the lock is held nothing is
called: a signal handler or a finalizer that increments never finds a number half changed.
"""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from geomon import clock, dispatch, locks, registries

C = TypeVar("C")

# one for all: a call's end takes it once, and a scrape sees whole calls
_lock = locks.lock_of(sys.modules[__name__])


class CounterChild:
    """A number that goes up."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Adds `amount`."""
        with _lock:
            self.value += amount


class GaugeChild(CounterChild):
    """A number that goes up and down."""

    __slots__ = ()

    def dec(self) -> None:
        """Takes 1 off."""
        with _lock:
            self.value -= 1

    def set(self, value: float) -> None:
        """Sets the number."""
        self.value = float(value)


class InProgressChild:
    """How many have begun and not ended.

    A begin is one step of an `itertools.count`: atomic, at a quarter of what a lock costs.
    """

    __slots__ = ("_begun", "ended", "inc")

    def __init__(self) -> None:
        self._begun = itertools.count()
        self.inc = self._begun.__next__
        """Counts a begin."""
        self.ended = 0

    def dec(self) -> None:
        """Counts an end."""
        with _lock:
            self.ended += 1

    @property
    def value(self) -> int:
        """How many are in progress."""
        return int(repr(self._begun)[len("count(") : -1]) - self.ended


class HistogramChild:
    """Observations by bucket, and their sum."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * len(bounds)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] | None = None

    def observe(self, value: float) -> None:
        """Counts `value` in the first bucket whose bound is not below it."""
        index = bisect_left(self.bounds, value)
        with _lock:
            self.counts[index] += 1
            self.sum += value

    def exemplify(self, value: float, trace_id: str) -> None:
        """Keeps a trace as the example of the bucket of `value`, instead of the earlier one."""
        exemplar = Exemplar({"trace_id": trace_id}, value, clock.wall())
        kept = self.exemplars or {}
        self.exemplars = {**kept, bisect_left(self.bounds, value): exemplar}

    def read(self) -> tuple[list[int], float]:
        """Counts by bucket, not yet cumulative, and the sum, as of one moment."""
        with _lock:
            counts = self.counts[:]
            total = self.sum
        return counts, total


def count_call(
    open_calls: InProgressChild,
    requests: CounterChild,
    duration: HistogramChild,
    seconds: float,
    also: CounterChild | None,
) -> None:
    """Counts the end of a call in all its metrics at once; `also` is one more counter."""
    index = bisect_left(duration.bounds, seconds)
    with _lock:
        open_calls.ended += 1
        requests.value += 1
        duration.counts[index] += 1
        duration.sum += seconds
        if also is not None:
            also.value += 1


def count_call_apart(
    open_calls: Any, requests: Any, duration: Any, seconds: float, also: Any | None
) -> None:
    """The same for prometheus-client's own metrics."""
    open_calls.dec()
    requests.inc()
    duration.observe(seconds)
    if also is not None:
        also.inc()


class _Family(registries.Piecewise, Generic[C]):
    """The children of one metric, by label values."""

    def __init__(self, name: str, text: str, labels: Sequence[str], child: Callable[[], C]) -> None:
        self.name = name
        self.text = text
        self.label_names = tuple(labels)
        self._child = child
        self._children: dict[tuple[str, ...], C] = {}

    def labels(self, *values: str) -> C:
        """The child of these label values; made when first asked for."""
        child = self._children.get(values)
        return child if child is not None else self._children.setdefault(values, self._child())

    def describe(self) -> Iterable[Metric]:
        """The family without samples: what the registry checks for duplicate names."""
        yield self._empty()

    def collect(self) -> Iterable[Metric]:
        """The family with its samples."""
        metric = self._empty()
        metric.samples = list(self.samples())
        yield metric

    def samples(self) -> Iterator[Sample]:
        """The samples, made child by child."""
        dispatch.settle()
        metric = self._empty()
        for values, child in self._children.copy().items():  # in one step: others add to it
            self._add(metric, values, child)
            yield from metric.samples
            metric.samples.clear()

    def _empty(self) -> Any:
        raise NotImplementedError

    def _add(self, metric: Any, values: tuple[str, ...], child: Any) -> None:
        metric.add_metric(values, child.value)


class Counter(_Family[CounterChild]):
    """A family of counters."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        super().__init__(name, text, labels, CounterChild)

    def _empty(self) -> Any:
        return CounterMetricFamily(self.name, self.text, labels=self.label_names)


class Gauge(_Family[Any]):
    """A family of gauges."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], child: Callable[[], Any] = GaugeChild
    ) -> None:
        super().__init__(name, text, labels, child)

    def _empty(self) -> Any:
        return GaugeMetricFamily(self.name, self.text, labels=self.label_names)


class Histogram(_Family[HistogramChild]):
    """A family of histograms."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Iterable[float]
    ) -> None:
        self.bounds = (*(float(bound) for bound in bounds if bound != float("inf")), float("inf"))
        super().__init__(name, text, labels, lambda: HistogramChild(self.bounds))

    def _empty(self) -> Any:
        return HistogramMetricFamily(self.name, self.text, labels=self.label_names)

    def _add(self, metric: Any, values: tuple[str, ...], child: Any) -> None:
        counts, total = child.read()
        buckets: list[Any] = list(
            zip(map(floatToGoString, self.bounds), _running(counts), strict=True)
        )
        for index, exemplar in (child.exemplars or {}).items():
            buckets[index] = (*buckets[index], exemplar)
        metric.add_metric(values, buckets=buckets, sum_value=total)


def _running(counts: list[int]) -> Iterator[int]:
    total = 0
    for count in counts:
        total += count
        yield total
