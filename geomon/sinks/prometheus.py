"""Counts every call in Prometheus metrics.

The families are made once a registry; a label combination's counters are looked up once and kept,
so that a call pays for counting only.
"""

from __future__ import annotations

import threading
from typing import Any

from prometheus_client import CollectorRegistry

from geomon import losses
from geomon.call import Call, Usage
from geomon.settings import Buckets
from geomon.sinks import labels
from geomon.sinks.families import Families, families_of

_MOST_CACHED = 4096
_TOKEN_TYPES = ("input", "output", "cached_input", "cache_write", "reasoning")


class _AiCounters:
    """The counters of one (type, model)."""

    __slots__ = ("cost", "duration", "errors", "families", "key", "requests", "tokens", "unmetered")

    def __init__(self, families: Families, key: tuple[str, ...]) -> None:
        self.families = families
        self.key = key
        self.requests = families.ai_requests.labels(*key).inc
        self.duration = families.ai_duration.labels(*key).observe
        self.errors: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.unmetered: dict[str, Any] = {}
        self.cost: Any = None

    def error(self, error_type: str) -> None:
        count = self.errors.get(error_type)
        if count is None:
            count = self.errors[error_type] = self.families.ai_errors.labels(
                *self.key, error_type
            ).inc
        count()
        self.families.errors.labels(error_type).inc()

    def without_price(self, reason: str) -> None:
        count = self.unmetered.get(reason)
        if count is None:
            count = self.unmetered[reason] = self.families.ai_unmetered.labels(
                *self.key, reason
            ).inc
        count()

    def spent(self, used: Usage) -> None:
        for name in _TOKEN_TYPES:
            amount = getattr(used, name)
            if amount:
                self._tokens(name, amount)
        if used.cost is not None:
            if self.cost is None:
                self.cost = self.families.ai_cost.labels(*self.key).inc
            self.cost(used.cost)

    def _tokens(self, token_type: str, amount: int) -> None:
        count = self.tokens.get(token_type)
        if count is None:
            count = self.tokens[token_type] = self.families.ai_tokens.labels(
                *self.key, token_type
            ).inc
        count(amount)


class PrometheusSink:
    """Counts calls in the metrics of a registry.

    Args:
        registry: prometheus-client's default registry where None.
        namespace: Put before every name: `myapp` gives `myapp_ai_requests_total`.
        buckets: Upper bounds of the histograms, in seconds.
        label_limit: How many values of (type, model), endpoint and host are told apart.

    Raises:
        ValueError: another library has registered one of the names.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        namespace: str = "",
        buckets: Buckets | None = None,
        label_limit: int = 1000,
    ) -> None:
        self.families = families_of(registry, namespace, buckets or Buckets())
        self._guards = {
            name: labels.LabelGuard(name, label_limit) for name in ("model", "endpoint", "host")
        }
        self._ai: dict[tuple[Any, Any], _AiCounters] = {}
        self._gauges: dict[tuple[Any, ...], Any] = {}
        self._http: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self._lock = threading.RLock()
        self._unsubscribe = losses.subscribe(self._lost)

    def close(self) -> None:
        """Stops showing losses; the metrics stay in their registry."""
        self._unsubscribe()

    def _lost(self, part: str, reason: str, amount: int) -> None:
        self.families.losses.labels(part, reason).inc(amount)

    # --- a call begins

    def started(self, active: Any) -> None:
        """Counts a call as in progress, under what is known of it now."""
        kind = active.kind
        if kind == "ai":
            self._in_progress(("ai", active.type, active.model_at_start)).inc()
        elif kind == "request":
            self._in_progress(("request", active.method)).inc()

    def _in_progress(self, key: tuple[Any, ...]) -> Any:
        try:
            gauge = self._gauges.get(key)
        except TypeError:  # a label value that cannot be hashed
            return self._new_gauge(key)
        if gauge is None:
            gauge = self._new_gauge(key)
            if len(self._gauges) < _MOST_CACHED:
                self._gauges[key] = gauge
        return gauge

    def _new_gauge(self, key: tuple[Any, ...]) -> Any:
        if key[0] == "request":
            return self.families.http_in_progress.labels(labels.method(key[1]))
        admitted = self._guards["model"].admit(*map(labels.text, key[1:]))
        return self.families.ai_in_progress.labels(*admitted)

    # --- a call ends

    def __call__(self, call: Call) -> None:
        if call.kind == "ai":
            self._count_ai(call)
        elif call.kind == "request":
            self._in_progress(("request", call.method)).dec()
            self._count_request(call)
        else:
            self._count_client_request(call)

    def _count_ai(self, call: Call) -> None:
        self._in_progress(("ai", call.type, call.model_at_start)).dec()
        counters = self._counters(call.type, call.model)
        counters.requests()
        counters.duration(call.duration)
        error_type = call.error_type
        if error_type is not None:
            counters.error(error_type)
        if call.usage:
            self._count_spend(call, counters)
        elif not call.metered and call.outcome != "error":
            counters.without_price("no_usage")
        if call.time_to_first_token is not None:
            self._count_stream(call, counters.key)
        if call.attempts or call.rate_limit_remaining:
            self._count_attempts(call)

    def _counters(self, type: Any, model: Any) -> _AiCounters:
        try:
            counters = self._ai.get((type, model))
        except TypeError:
            return self._new_counters(type, model)
        return counters if counters is not None else self._new_counters(type, model)

    def _new_counters(self, type: Any, model: Any) -> _AiCounters:
        key = self._guards["model"].admit(labels.text(type), labels.text(model))
        with self._lock:
            counters = self._ai.get(key)  # type: ignore[call-overload] # the same keys, cleaned
            if counters is None:
                counters = self._ai[key] = _AiCounters(self.families, key)  # type: ignore[index]
            if (type, model) != key and _hashable(type, model) and len(self._ai) < _MOST_CACHED:
                self._ai[type, model] = counters
        return counters

    def _count_spend(self, call: Call, counters: _AiCounters) -> None:
        if not any(used.tokens is not None for used in call.usage):
            counters.without_price("no_usage")
        for used in call.usage:
            own = counters if used.model == call.model else self._counters(call.type, used.model)
            own.spent(used)
            if used.cost is None and used.tokens is not None:
                own.without_price("no_price")

    def _count_stream(self, call: Call, key: tuple[str, ...]) -> None:
        self.families.ai_first_token.labels(*key).observe(call.time_to_first_token)
        if call.time_per_output_token is not None:
            self.families.ai_per_token.labels(*key).observe(call.time_per_output_token)

    def _count_attempts(self, call: Call) -> None:
        for attempt in call.attempts:
            key = self._counters(call.type, attempt.model).key
            self.families.ai_attempts.labels(*key, attempt.outcome).inc()
        for kind, ratio in call.rate_limit_remaining.items():
            model = self._counters(call.type, call.model).key[1]
            self.families.ai_rate_limit.labels(model, kind).set(ratio)

    # --- HTTP

    def _count_request(self, call: Call) -> None:
        count, observe = self._http_counters("endpoint", call.method, call.endpoint, call.status)
        count()
        observe(call.duration)
        if call.error_type is not None:
            self.families.errors.labels(call.error_type).inc()

    def _count_client_request(self, call: Call) -> None:
        count, observe = self._http_counters("host", call.method, call.host, call.status)
        count()
        observe(call.duration)
        if call.error_type is not None:
            self.families.errors.labels(call.error_type).inc()

    def _http_counters(self, kind: str, *key: Any) -> tuple[Any, Any]:
        try:
            counters = self._http.get((kind, *key))
        except TypeError:
            return self._new_http_counters(kind, *key)
        if counters is None:
            counters = self._new_http_counters(kind, *key)
            if len(self._http) < _MOST_CACHED:
                self._http[(kind, *key)] = counters
        return counters

    def _new_http_counters(self, kind: str, method: Any, where: Any, status: Any) -> Any:
        families = self.families
        verb, code = labels.method(method), labels.status(status)
        (place,) = self._guards[kind].admit(labels.text(where))
        if kind == "endpoint":
            return (
                families.http_requests.labels(verb, place, code).inc,
                families.http_duration.labels(verb, place).observe,
            )
        return (
            families.client_requests.labels(verb, place, code).inc,
            families.client_duration.labels(verb, place).observe,
        )


def _hashable(*values: Any) -> bool:
    try:
        hash(values)
    except TypeError:
        return False
    return True
