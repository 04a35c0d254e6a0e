"""The metric families of calls, made once a registry and namespace.

In multiprocess mode they are prometheus-client's own, and gauges add up over the living workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, values

from geomon.settings import Buckets
from geomon.sinks import store
from geomon.sinks.labels import LabelGuard

_MARK = "_geomon_families"
_AI = ("type", "model")
_lock = threading.RLock()

GaugeMode = Literal["livesum", "livemostrecent"]


class Families:
    """Every metric that belongs to calls, in one registry."""

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Buckets) -> None:
        self._registry = registry
        self._namespace = namespace
        self._made: list[Any] = []
        self._shown: dict[Any, dict[tuple[str, str], int]] = {}
        self.guards: dict[str, LabelGuard] = {}
        self.buckets = buckets
        self.count_call = store.count_call_apart if _multiprocess() else store.count_call
        try:
            self._make(buckets)
        except BaseException:
            self.unregister()
            raise

    def unregister(self) -> None:
        """Takes the metrics out of their registry."""
        for metric in self._made:
            with suppress(KeyError):  # the program emptied its registry
                self._registry.unregister(metric)
        self._made.clear()

    def register_again(self) -> None:
        """Puts metrics back that the program took out of its registry."""
        for metric in self._made:
            with suppress(ValueError):  # it is still there
                self._registry.register(metric)

    def show_losses(self, source: Any, part: str, reason: str, total: int) -> None:
        """Counts what `source` lost beyond what is shown of it; several sinks may tell."""
        shown = self._shown.setdefault(source, {})  # reloaded modules count from 0
        self.losses.labels(part, reason).inc(total - shown.get((part, reason), 0))
        shown[part, reason] = total

    def _make(self, buckets: Buckets) -> None:
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        request, sent = ("method", "endpoint"), ("method", "host")
        self.ai_requests = counter("ai_requests_total", "Finished AI calls.", *_AI)
        self.ai_duration = histogram(
            "ai_request_duration_seconds", "Duration of AI calls.", buckets.ai, *_AI
        )
        self.ai_errors = counter(
            "ai_errors_total", "AI calls that failed or were cancelled.", *_AI, "error_type"
        )
        self.ai_attempts = counter(
            "ai_attempts_total", "Inner calls and client retries of AI calls.", *_AI, "outcome"
        )
        self.ai_in_progress = self._in_progress(
            "ai_requests_in_progress", "AI calls now open.", *_AI
        )
        self.ai_tokens = counter(
            "ai_tokens_total",
            "Tokens; input holds cached ones, output holds reasoning.",
            *_AI,
            "token_type",
        )
        self.ai_cost = counter("ai_cost_usd_total", "Cost of AI calls in US dollars.", *_AI)
        self.ai_unmetered = counter(
            "ai_unmetered_calls_total", "AI calls whose cost is not known.", *_AI, "reason"
        )
        self.ai_first_token = histogram(
            "ai_time_to_first_token_seconds", "Time to a stream's first token.", buckets.ai, *_AI
        )
        self.ai_per_token = histogram(
            "ai_time_per_output_token_seconds",
            "Time a token after a stream's first one.",
            buckets.time_per_output_token,
            *_AI,
        )
        self.ai_rate_limit = gauge(
            "ai_rate_limit_remaining_ratio",
            "What is left of the provider's limit, 0 to 1.",
            "model",
            "kind",
            mode="livemostrecent",
        )
        self.errors = counter("error_rate_total", "Errors by error type.", "type")
        self.http_requests = counter(
            "http_requests_total", "Requests that were served.", *request, "status"
        )
        self.http_duration = histogram(
            "http_request_duration_seconds",
            "Duration of requests that were served.",
            buckets.http,
            *request,
        )
        self.http_in_progress = self._in_progress(
            "http_requests_in_progress", "Requests now being served.", "method"
        )
        self.client_requests = counter(
            "http_client_requests_total", "Requests that were sent.", *sent, "status"
        )
        self.client_duration = histogram(
            "http_client_request_duration_seconds",
            "Duration of requests that were sent.",
            buckets.http,
            *sent,
        )
        self.losses = counter(
            "geomon_losses_total", "What geomon itself lost or failed to do.", "part", "reason"
        )
        self.build_info = gauge(
            "geomon_build_info", "1, with geomon's version.", "version", mode="livemostrecent"
        )

    def _keep(self, name: str, make: Callable[[], Any]) -> Any:
        try:
            metric = make()
            self._registry.register(metric)
        except ValueError as error:
            if "uplicated" not in str(error):
                raise
            raise ValueError(
                f"the metric {name!r} is in this registry already, and not geomon's: write "
                'configure(namespace="myapp") to put another name before geomon\'s metrics, or '
                "configure(registry=CollectorRegistry()) to keep them apart"
            ) from error
        self._made.append(metric)
        return metric

    def _name(self, name: str) -> str:
        return f"{self._namespace}_{name}" if self._namespace else name

    def _counter(self, name: str, text: str, *labels: str) -> Any:
        full = self._name(name)
        if _multiprocess():
            return self._keep(full, lambda: Counter(full, text, labels, registry=None))
        return self._keep(full, lambda: store.Counter(full, text, labels))

    def _gauge(self, name: str, text: str, *labels: str, mode: GaugeMode = "livesum") -> Any:
        full = self._name(name)
        if _multiprocess():
            return self._keep(
                full, lambda: Gauge(full, text, labels, registry=None, multiprocess_mode=mode)
            )
        return self._keep(full, lambda: store.Gauge(full, text, labels))

    def _in_progress(self, name: str, text: str, *labels: str) -> Any:
        full = self._name(name)
        if _multiprocess():
            return self._gauge(name, text, *labels)
        return self._keep(full, lambda: store.Gauge(full, text, labels, store.InProgressChild))

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Any:
        full = self._name(name)
        if _multiprocess():
            return self._keep(
                full, lambda: Histogram(full, text, labels, registry=None, buckets=bounds)
            )
        return self._keep(full, lambda: store.Histogram(full, text, labels, bounds))


def _multiprocess() -> bool:
    """Whether prometheus-client writes to files, as it decided when it was imported."""
    return values.ValueClass is not values.MutexValue


def families_of(registry: CollectorRegistry | None, namespace: str, buckets: Buckets) -> Families:
    """The registry's families; those of an earlier configuration are used again.

    They are kept on the registry itself, so that a reloaded module finds them too. Other buckets
    than before make them anew: a histogram cannot change its buckets.

    Raises:
        ValueError: another library has registered one of the names.
    """
    registry = REGISTRY if registry is None else registry
    with _lock:  # many threads may make the first call at once
        return _families_of(registry, namespace, buckets)


def _families_of(registry: CollectorRegistry, namespace: str, buckets: Buckets) -> Families:
    kept: dict[str, Families] = vars(registry).setdefault(_MARK, {})
    earlier = kept.get(namespace)
    if earlier is not None:
        if vars(earlier.buckets) == vars(buckets):  # == is false after a reload
            earlier.register_again()
            return earlier
        earlier.unregister()
    families = kept[namespace] = Families(registry, namespace, buckets)
    families.build_info.labels(_version()).set(1)
    return families


def _version() -> str:
    from geomon.version import __version__

    return __version__
