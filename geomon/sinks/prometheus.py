"""Counts every call in Prometheus metrics.

The families are made once a registry; a label combination's counters are looked up once and kept,
so that a call pays for counting only.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from geomon import losses
from geomon.call import Call, Usage
from geomon.settings import Buckets
from geomon.sinks import labels
from geomon.sinks.families import Families, families_of

_MOST_CACHED = 4096
_TOKEN_TYPES = ("input", "output", "cached_input", "cache_write", "reasoning")


class _Ai:
    """The metrics of one (type, model); those that most calls do not need are made when needed."""

    def __init__(self, families: Families, key: tuple[str, ...]) -> None:
        self._families = families
        self.key = key
        self.requests = families.ai_requests.labels(*key)
        self.duration = families.ai_duration.labels(*key)
        self.gauge: Any = None
        self.no_usage: Any = None

    def make_no_usage(self) -> Any:
        """Makes and gives the counter of calls that told no tokens."""
        self.no_usage = self._families.ai_unmetered.labels(*self.key, "no_usage")
        return self.no_usage

    def count_error(self, error_type: str) -> None:
        """Counts a call that failed or was cancelled."""
        self._families.ai_errors.labels(*self.key, error_type).inc()
        self._families.errors.labels(error_type).inc()

    def count_spend(self, used: Usage) -> None:
        """Counts tokens and cost."""
        families, key = self._families, self.key
        for name in _TOKEN_TYPES:
            amount = getattr(used, name)
            if amount:
                families.ai_tokens.labels(*key, name).inc(amount)
        if used.cost is not None:
            families.ai_cost.labels(*key).inc(used.cost)
        elif used.tokens is not None:
            families.ai_unmetered.labels(*key, "no_price").inc()

    def count_stream(self, first_token: float, per_token: float | None) -> None:
        """Counts how fast a stream came."""
        self._families.ai_first_token.labels(*self.key).observe(first_token)
        if per_token is not None:
            self._families.ai_per_token.labels(*self.key).observe(per_token)


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
            name: self._guard(name, label_limit) for name in ("model", "endpoint", "host")
        }
        # as the call says it, before it is cleaned: what is looked up for every call
        self._ai: dict[tuple[Any, Any], _Ai] = {}
        self._gauges: dict[tuple[Any, Any], Any] = {}
        self._http: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self._ai_by_key: dict[tuple[str, ...], _Ai] = {}
        self._count_call = self.families.count_call
        self._unsubscribe = losses.subscribe(self._lost)

    def _guard(self, name: str, limit: int) -> labels.LabelGuard:
        """The registry's guard: configuring again admits no further values."""
        guard = self.families.guards.setdefault(name, labels.LabelGuard(name, limit))
        guard.limit = limit
        return guard

    def close(self) -> None:
        """Stops showing losses; the metrics stay in their registry."""
        self._unsubscribe()

    def _lost(self, part: str, reason: str, total: int) -> None:
        self.families.show_losses(losses, part, reason, total)

    # --- a call begins

    def started(self, active: Any) -> None:
        """Counts a call as in progress, under what is known of it now."""
        if active.kind == "ai":
            gauge = self._gauges.get((active.type, active.model_at_start))
            if gauge is None:
                gauge = self._new_ai_gauge(active.type, active.model_at_start)
            gauge.inc()
        elif active.kind == "request":
            self._http_gauge(active.method).inc()

    def _new_ai_gauge(self, type: Any, model: Any) -> Any:
        key = self._guards["model"].admit(labels.text(type), labels.text(model))
        gauge = self.families.ai_in_progress.labels(*key)
        if len(self._gauges) < _MOST_CACHED and _is_short(type, model):
            self._gauges[type, model] = gauge
        return gauge

    def _http_gauge(self, method: Any) -> Any:
        return self.families.http_in_progress.labels(labels.method(method))

    # --- a call ends

    def __call__(self, call: Call) -> None:
        """Counts a finished call."""
        if call.kind == "ai":
            self._count_ai(call)
        elif call.kind == "request":
            self._count_request(call)
        else:
            self._count_client_request(call)

    def _count_ai(self, call: Call) -> None:
        type, model = call.type, call.model
        ai = self._ai.get((type, model))
        if ai is None:
            ai = self._new_ai(type, model)
        at_start = call.model_at_start
        gauge = ai.gauge if model is at_start else self._gauges.get((type, at_start))
        if gauge is None:
            gauge = self._new_ai_gauge(type, at_start)
            if model is at_start:
                ai.gauge = gauge
        unseen = None
        if not call.metered and call.outcome != "error":
            unseen = ai.no_usage if ai.no_usage is not None else ai.make_no_usage()
        self._count_call(gauge, ai.requests, ai.duration, call.duration, unseen)
        if call.error_type is not None:
            ai.count_error(call.error_type)
        if call.usage:
            self._count_spend(call, ai)
        if call.time_to_first_token is not None:
            ai.count_stream(call.time_to_first_token, call.time_per_output_token)
        if call.attempts or call.rate_limit_remaining:
            self._count_attempts(call)

    def _ai_of(self, type: Any, model: Any) -> _Ai:
        ai = self._ai.get((type, model))
        return ai if ai is not None else self._new_ai(type, model)

    def _new_ai(self, type: Any, model: Any) -> _Ai:
        key = self._guards["model"].admit(labels.text(type), labels.text(model))
        ai = self._ai_by_key.get(key)
        if ai is None:
            ai = self._ai_by_key.setdefault(key, _Ai(self.families, key))
        if len(self._ai) < _MOST_CACHED and _is_short(type, model):
            self._ai[type, model] = ai
        return ai

    def _count_spend(self, call: Call, ai: _Ai) -> None:
        if call.tokens is None:
            ai.make_no_usage().inc()
        for used in call.usage:
            own = ai if used.model == call.model else self._ai_of(call.type, used.model)
            own.count_spend(used)

    def _count_attempts(self, call: Call) -> None:
        for attempt in call.attempts:
            key = self._ai_of(call.type, attempt.model).key
            self.families.ai_attempts.labels(*key, attempt.outcome).inc()
        for kind, ratio in call.rate_limit_remaining.items():
            model = self._ai_of(call.type, call.model).key[1]
            self.families.ai_rate_limit.labels(model, kind).set(ratio)

    # --- HTTP

    def _count_request(self, call: Call) -> None:
        requests, duration = self._http_of("endpoint", call.method, call.endpoint, call.status)
        gauge = self._http_gauge(call.method)
        self._count_call(gauge, requests, duration, call.duration, None)
        if call.error_type is not None:
            self.families.errors.labels(call.error_type).inc()

    def _count_client_request(self, call: Call) -> None:
        requests, duration = self._http_of("host", call.method, call.host, call.status)
        requests.inc()
        duration.observe(call.duration)
        if call.error_type is not None:
            self.families.errors.labels(call.error_type).inc()

    def _http_of(self, *key: Any) -> tuple[Any, Any]:
        pair = self._http.get(key)
        if pair is None:
            pair = self._new_http(*key)
            if len(self._http) < _MOST_CACHED and _is_short(*key[:3]):
                self._http[key] = pair
        return pair

    def _new_http(self, kind: str, method: Any, where: Any, status: Any) -> tuple[Any, Any]:
        verb, code = labels.method(method), labels.status(status)
        (place,) = self._guards[kind].admit(labels.text(where))
        families = self.families
        if kind == "endpoint":
            requests, duration = families.http_requests, families.http_duration
        else:
            requests, duration = families.client_requests, families.client_duration
        return requests.labels(verb, place, code), duration.labels(verb, place)


def _is_short(*values: Any) -> bool:
    """Whether the values may be kept: few bytes, however long the program's own strings are."""
    return not any(isinstance(text, str) and len(text) > labels.MOST_CHARACTERS for text in values)
