"""Which registry is read: in multiprocess mode the one that adds up all workers."""

from __future__ import annotations

import glob
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from geomon import forks

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

T = TypeVar("T")

_PIECE = 200
"""How many samples are made at a time."""


def directory() -> str | None:
    """The workers' common directory; None where there is one process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR") or None


def merged(registry: CollectorRegistry | None) -> Any:
    """A registry to read: merged over the workers where it is the default one (None too).

    A registry of the program's own is read as it is.
    """
    from prometheus_client import REGISTRY, CollectorRegistry

    common = directory()
    if common is not None and registry in (None, REGISTRY):
        sums, workers = CollectorRegistry(), _Workers(common)
        sums.register(cast("Any", workers))
        return sums
    return REGISTRY if registry is None else registry


class Piecewise(ABC):
    """A collector of one metric whose samples need not all be there at once."""

    @abstractmethod
    def describe(self) -> Iterable[Metric]:
        """The metric without its samples."""

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """Its samples, each made when it is asked for."""


class Steady:
    """A registry to read once, while other threads may fork and go on with their work.

    Each collector is asked where no fork is under way: a child would keep its locks for ever. What
    a metric of prometheus-client or geomon has as `samples` is made while it is read, a few at a
    time: 100,000 at once stop all threads for garbage collections that find no garbage.
    """

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        """The metrics, as the registry's own `collect`."""
        for collector in _steadily(lambda: _collectors(self._registry)):
            samples = _samples_of(collector)
            if samples is None:
                yield from _steadily(collector.collect)
            else:
                (metric,) = collector.describe()
                metric.samples = _steadily(samples, _PIECE)
                yield metric


def _steadily(make: Callable[[], Iterable[T]], size: int | None = None) -> Iterator[T]:
    """What is made, all or `size` at a time where no fork is under way.

    In between other threads have a turn.
    """
    with forks.no_fork():
        items = iter(make())
    while True:
        with forks.no_fork():
            piece = list(islice(items, size))
        if not piece:
            return
        yield from piece
        time.sleep(0)  # without it each step of theirs waits for 5 ms


def _collectors(registry: Any) -> list[Any]:
    """The collectors of a registry; of one that does not tell them itself."""
    from prometheus_client import CollectorRegistry

    known = getattr(registry, "_collector_to_names", None)
    if known is None or type(registry).collect is not CollectorRegistry.collect:
        return [registry]
    with registry._lock:
        return [_Target(registry), *known]


def _samples_of(collector: Any) -> Callable[[], Iterable[Any]] | None:
    """What gives a collector's samples one by one; None: it only gives all at once."""
    from prometheus_client.metrics import MetricWrapperBase

    if isinstance(collector, Piecewise):
        return collector.samples
    known = hasattr(collector, "_samples") and isinstance(collector, MetricWrapperBase)
    if known and type(collector).collect is MetricWrapperBase.collect:
        return lambda: _named(collector)
    return None


def _named(collector: Any) -> Iterator[Any]:
    """The samples of a metric of prometheus-client, as its own `collect` names them."""
    from prometheus_client.samples import Sample

    (metric,) = collector.describe()
    for suffix, *values in collector._samples():
        yield Sample(metric.name + suffix, *values)


class _Target:
    """What a registry says of the program as a whole."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import InfoMetricFamily

        labels = self._registry.get_target_info()
        return [InfoMetricFamily("target", "Target metadata", labels)] if labels else []


class _Workers:
    """The sums over all workers.

    A worker that starts makes its files empty and then gives them their size;
    prometheus-client's own collector fails on one that it meets in between.
    """

    def __init__(self, common: str) -> None:
        from prometheus_client import multiprocess

        collector: Any = multiprocess.MultiProcessCollector
        self._merge = collector(None, common).merge  # an error where there is no such directory
        self._common = common

    def collect(self) -> Iterable[Any]:
        found: Iterable[Any] = self._merge(list(_begun(self._common)))
        return found


def _begun(common: str) -> Iterator[str]:
    for file in glob.glob(os.path.join(glob.escape(common), "*.db")):
        try:
            if os.path.getsize(file):
                yield file
        except FileNotFoundError:  # of a worker that was marked dead
            continue
