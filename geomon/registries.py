"""Which registry is read: in multiprocess mode the one that adds up all workers."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from geomon import forks

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


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


class Steady:
    """A registry to read while other threads may fork.

    Each collector is asked where no fork is under way: a child would keep its locks for ever.
    """

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        """The metrics, as the registry's own `collect`."""
        metrics = iter(self._registry.collect())
        while True:
            with forks.no_fork():
                metric = next(metrics, None)
            if metric is None:
                return
            yield metric


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
