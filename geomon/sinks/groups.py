"""Metrics that are registered together, when a call first needs them.

In multiprocess mode they are prometheus-client's own, and gauges add up over the living workers.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from geomon import locks, losses
from geomon.sinks import store

GaugeMode = Literal["livesum", "livemostrecent"]
G = TypeVar("G", bound="Group")

_lock = locks.lock_of(sys.modules[__name__])


class Group:
    """Metrics of one registry that stand or fall together: a call is never split.

    Args:
        registry: Where they are shown.
        namespace: Put before every name.
    """

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self._registry = registry
        self._namespace = namespace
        self._metrics: dict[str, Any] = {}
        self._is_needed = False

    def needed(self: G) -> G:
        """The group, registered. Where a name is taken it counts all the same, and is not shown."""
        if not self._is_needed:
            error = self._first_need()
            if error is not None:
                losses.failed("metrics", "setup_failed", error, str(error))
        return self

    def _first_need(self) -> ValueError | None:
        with _lock:  # many threads may make the first call at once
            if not self._is_needed:
                self._is_needed = True
                try:
                    self.register()
                except ValueError as error:
                    return error
        return None

    def check(self) -> None:
        """Registers what was needed before, and looks whether the rest could be.

        Raises:
            ValueError: another library has registered one of the names.
        """
        self.register()
        if not self._is_needed:
            self.unregister()

    def register(self) -> None:
        """Puts the metrics into their registry, all or none. Raises as `check`."""
        try:
            for name, metric in self._metrics.items():
                self._register(name, metric)
        except BaseException:
            self.unregister()
            raise

    def unregister(self) -> None:
        """Takes the metrics out of their registry."""
        for metric in self._metrics.values():
            with suppress(KeyError):  # never there, or the program emptied its registry
                self._registry.unregister(metric)

    def _register(self, name: str, metric: Any) -> None:
        with suppress(KeyError):  # there since an earlier configuration
            self._registry.unregister(metric)
        try:
            self._registry.register(metric)
        except ValueError as error:
            raise ValueError(
                f"the metric {name!r} is in this registry already, and not geomon's: write "
                'configure(namespace="myapp") to put another name before geomon\'s metrics, or '
                "configure(registry=CollectorRegistry()) to keep them apart"
            ) from error

    # --- making

    def counter(self, name: str, text: str, *labels: str) -> Any:
        """A family of counters."""
        full = self._full(name)
        if is_multiprocess():
            return self._keep(full, Counter(full, text, labels, registry=None))
        return self._keep(full, store.Counter(full, text, labels))

    def gauge(self, name: str, text: str, *labels: str, mode: GaugeMode = "livemostrecent") -> Any:
        """A family of gauges; `mode` is what several workers' values become."""
        full = self._full(name)
        if is_multiprocess():
            return self._keep(
                full, Gauge(full, text, labels, registry=None, multiprocess_mode=mode)
            )
        return self._keep(full, store.Gauge(full, text, labels))

    def in_progress(self, name: str, text: str, *labels: str) -> Any:
        """A family of gauges that count what has begun and not ended."""
        if is_multiprocess():
            return self.gauge(name, text, *labels, mode="livesum")
        full = self._full(name)
        return self._keep(full, store.Gauge(full, text, labels, store.InProgressChild))

    def histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Any:
        """A family of histograms."""
        full = self._full(name)
        if is_multiprocess():
            return self._keep(full, Histogram(full, text, labels, registry=None, buckets=bounds))
        return self._keep(full, store.Histogram(full, text, labels, bounds))

    def _full(self, name: str) -> str:
        return f"{self._namespace}_{name}" if self._namespace else name

    def _keep(self, name: str, metric: Any) -> Any:
        self._metrics[name] = metric
        return metric


def is_multiprocess() -> bool:
    """Whether prometheus-client writes to files, as it decided when it was imported."""
    return values.ValueClass is not values.MutexValue
