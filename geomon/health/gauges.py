"""The gauges of the system: memory, CPU, and who is using the program.

One worker's values are all workers' values: memory and CPU are the container's, or the machine's,
never a process's own. So in multiprocess mode the newest value counts; active users add up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from geomon import locks
from geomon.health.system import SYSTEM, System
from geomon.health.users import ActiveUsers

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

_TEXTS = {
    "memory_usage_bytes": "Memory of the container or machine in use, without page cache.",
    "memory_limit_bytes": "Memory that the container or machine has.",
    "cpu_usage_percent": "CPU use, 0 to 100 of what the container or machine has.",
    "active_users": "Distinct user ids of the last five minutes; over workers an upper bound.",
}
_MARK = "_geomon_system_gauges"
_lock = locks.lock_of(sys.modules[__name__])


class SystemGauges:
    """Shows `memory_usage_bytes`, `memory_limit_bytes`, `cpu_usage_percent` and `active_users`.

    A value that is not known is absent. In one process they are read at the scrape. In multiprocess
    mode, where custom collectors are not scraped, each reading writes them into the shared files.

    Those that were in the registry before, under the same namespace, are closed.

    Args:
        registry: prometheus-client's default registry where None.
        namespace: Put before every name: `myapp` gives `myapp_active_users`.
        system: What reads memory and CPU.
        users: The sink that sees the users; None: no `active_users`.

    Raises:
        ValueError: another library has registered one of the names.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        namespace: str = "",
        *,
        system: System | None = None,
        users: ActiveUsers | None = None,
    ) -> None:
        from prometheus_client import REGISTRY, values

        self._registry = REGISTRY if registry is None else registry
        self._namespace = namespace
        self._system = SYSTEM if system is None else system
        self._users = users
        self._shared: dict[str, Any] | None = (
            None if values.ValueClass is values.MutexValue else {}  # as prometheus-client decided
        )
        self._register()
        self._unsubscribe = None
        if self._shared is not None:
            self._unsubscribe = self._system.subscribe(self.update)
            if users is not None:
                users.woken = self._system.ensure  # a forked worker has no thread yet

    def describe(self) -> Iterable[Metric]:
        """The gauges without samples: what the registry checks for duplicate names."""
        for name in _TEXTS:
            yield self._family(name)

    def collect(self) -> Iterator[Metric]:
        """The gauges whose values are known."""
        for name, value in self._values().items():
            metric = self._family(name)
            metric.add_metric((), value)
            yield metric

    def update(self) -> None:
        """Writes the latest values for all workers to see; in one process they are read anyway."""
        if self._shared is not None:
            for name, value in self._values().items():
                self._gauge(name).set(value)

    def close(self) -> None:
        """Takes the gauges out of the registry. Can be repeated."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()
            if self._shared and "active_users" in self._shared:
                self._gauge("active_users").set(0)  # what is left in the file would add up
        with suppress(KeyError):  # the program emptied its registry
            self._registry.unregister(self)

    def _register(self) -> None:
        kept: dict[str, SystemGauges] = vars(self._registry).setdefault(_MARK, {})
        with _lock:
            earlier = kept.get(self._namespace)
            if earlier is not None:
                earlier.close()
            try:
                self._registry.register(self)
            except ValueError as error:
                raise ValueError(self._taken()) from error
            kept[self._namespace] = self

    def _taken(self) -> str:
        return (
            f"one of the metrics {', '.join(map(self._full, _TEXTS))} is in this registry already, "
            'and not geomon\'s: write configure(namespace="myapp") to put another name before '
            "geomon's metrics, or configure(registry=CollectorRegistry()) to keep them apart"
        )

    def _values(self) -> dict[str, float]:
        readings = self._system.readings() if self._shared is None else self._system.latest
        known = {
            "memory_usage_bytes": readings.memory.used,
            "memory_limit_bytes": readings.memory.limit,
            "cpu_usage_percent": readings.cpu_percent,
            "active_users": None if self._users is None else self._users.count(),
        }
        return {name: float(value) for name, value in known.items() if value is not None}

    def _gauge(self, name: str) -> Any:
        """The gauge in the shared files; made when its value is first known."""
        from prometheus_client import Gauge

        assert self._shared is not None
        if name not in self._shared:
            mode: Literal["livesum", "livemostrecent"] = (
                "livesum" if name == "active_users" else "livemostrecent"
            )
            self._shared[name] = Gauge(
                self._full(name), _TEXTS[name], registry=None, multiprocess_mode=mode
            )
        return self._shared[name]

    def _family(self, name: str) -> Any:
        from prometheus_client.core import GaugeMetricFamily

        return GaugeMetricFamily(self._full(name), _TEXTS[name])

    def _full(self, name: str) -> str:
        return f"{self._namespace}_{name}" if self._namespace else name
