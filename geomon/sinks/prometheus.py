"""Counts every call in Prometheus metrics.

The families are made once a registry; a label combination's counters are looked up once and kept,
so that a call pays for counting only.
"""

from __future__ import annotations

import re
from typing import Any

from prometheus_client import CollectorRegistry

from geomon import losses
from geomon.call import Call
from geomon.settings import Buckets
from geomon.sinks import labels
from geomon.sinks.children import AiChildren
from geomon.sinks.families import Sent, Served, families_of
from geomon.sinks.store import HistogramChild

_MOST_CACHED = 4096
# OpenMetrics lets an exemplar's labels have 128 characters, their names included
_is_trace = re.compile(r"[A-Za-z0-9._:-]{1,120}").fullmatch


class PrometheusSink:
    """Counts calls in the metrics of a registry; each group of them appears when first needed.

    Args:
        registry: prometheus-client's default registry where None.
        namespace: Put before every name: `myapp` gives `myapp_ai_requests_total`.
        buckets: Upper bounds of the histograms, in seconds.
        label_limit: How many values of (type, model), endpoint and host are told apart.
        check: Whether a name that is taken is an error. Else it is a counted loss when the name is
            first needed, and costs the metrics of its group: AI, requests served, requests sent,
            errors, geomon's own.

    Raises:
        ValueError: another library has registered one of the names.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        namespace: str = "",
        buckets: Buckets | None = None,
        label_limit: int = 1000,
        check: bool = True,
    ) -> None:
        self.families = families_of(registry, namespace, buckets or Buckets(), check)
        self._guards = {
            name: self._guard(name, label_limit) for name in ("model", "endpoint", "host")
        }
        # by what the call says, before it is cleaned: what is looked up for every call
        self._ai: dict[tuple[Any, ...], AiChildren] = {}
        self._served: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
        self._sent: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self._sizes: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self._open: dict[Any, Any] = {}
        self._errors: dict[str, Any] = {}
        self._count_call = self.families.count_call
        self._unsubscribe = losses.subscribe(self._lost)

    def _guard(self, name: str, limit: int) -> labels.LabelGuard:
        """The registry's guard: configuring again admits no further values."""
        guard = self.families.guards.setdefault(name, labels.LabelGuard(name, limit))
        guard.limit = limit
        return guard

    def close(self) -> None:
        """Stops showing losses; the metrics stay in their registry, and calls still count."""
        self._unsubscribe()

    def _lost(self, part: str, reason: str, total: int) -> None:
        self.families.show_losses(losses, part, reason, total)

    # --- a call begins

    def started(self, active: Any) -> None:
        """Counts a call as in progress, under what is known of it now."""
        if active.kind == "ai":
            type, model = active.type, active.model_at_start
            try:
                ai = self._ai[type, model]
            except Exception:  # new here, or not a key
                ai = self._new_ai(type, model)
            (ai.open or ai.make("open")).inc()
        elif active.kind == "request":
            self._open_of(active.method).inc()

    # --- a call ends

    def __call__(self, call: Call) -> None:
        """Counts a finished call."""
        if call.kind != "ai":  # what AI calls need stands here: a further function costs them 5 %
            if call.kind == "request":
                self._count_served(call)
            else:
                self._count_sent(call)
            if call.error_type is not None:
                self._count_error(call.error_type)
            return
        type, model, at_start = call.type, call.model, call.model_at_start
        try:
            ai = self._ai[type, model]
        except Exception:  # new here, or not a key
            ai = self._new_ai(type, model)
        begun = ai if model is at_start else self._ai_of(type, at_start)
        unseen = None
        if not call.metered and call.outcome != "error":
            unseen = ai.no_usage or ai.make_no_usage()
        self._count_call(
            begun.open or begun.make("open"),
            ai.requests or ai.make("requests"),
            ai.duration or ai.make("duration"),
            call.duration,
            unseen,
        )
        if call.error_type is not None:
            ai.errors[call.error_type].inc()
            self._count_error(call.error_type)
        if call.usage:
            self._count_spend(call, ai)
        if call.time_to_first_token is not None:
            ai.count_stream(call.time_to_first_token, call.time_per_output_token)
        if call.attempts or call.rate_limit_remaining:
            self._count_attempts(call, ai)
        if call.trace_id is not None:
            _exemplify(ai.duration, call)

    def _ai_of(self, type: Any, model: Any) -> AiChildren:
        try:
            return self._ai[type, model]
        except Exception:  # new here, or not a key
            return self._new_ai(type, model)

    def _new_ai(self, type: Any, model: Any) -> AiChildren:
        key = self._guards["model"].admit(labels.text(type), labels.text(model))
        ai = self._ai.get(key)  # the labels are a key too
        if ai is None:
            ai = self._ai.setdefault(key, AiChildren(self.families.ai.needed(), key))
        _keep(self._ai, (type, model), ai)
        return ai

    def _count_spend(self, call: Call, ai: AiChildren) -> None:
        known = False
        for used in call.usage:
            own = ai if used.model is call.model else self._ai_of(call.type, used.model)
            known = own.count_spend(used) or known
        if not known:
            ai.unmetered["no_usage"].inc()

    def _count_attempts(self, call: Call, ai: AiChildren) -> None:
        for attempt in call.attempts:
            self._ai_of(call.type, attempt.model).attempts[attempt.outcome].inc()
        for kind, ratio in call.rate_limit_remaining.items():
            ai.rate_limit[kind].set(ratio)

    def _count_error(self, error_type: str) -> None:
        try:
            child = self._errors[error_type]
        except KeyError:
            total = self.families.errors.needed().total
            child = self._errors[error_type] = total.labels(error_type)
        child.inc()

    # --- HTTP

    def _count_served(self, call: Call) -> None:
        key = call.method, call.endpoint, call.status
        try:
            opened, requests, duration = self._served[key]
        except Exception:  # new here, or not a key
            requests, duration = self._new_pair(key, self.families.served.needed(), "endpoint")
            opened = self._open_of(call.method)
            _keep(self._served, key, (opened, requests, duration))
        self._count_call(opened, requests, duration, call.duration, None)
        if call.trace_id is not None:
            _exemplify(duration, call)
        if call.response_size is not None:
            self._count_sizes(call)

    def _count_sizes(self, call: Call) -> None:
        key = call.method, call.endpoint
        try:
            request, response = self._sizes[key]
        except Exception:  # new here, or not a key
            verb = labels.method(call.method)
            (place,) = self._guards["endpoint"].admit(labels.text(call.endpoint))
            sizes = self.families.sizes.needed()
            request, response = (
                sizes.request.labels(verb, place),
                sizes.response.labels(verb, place),
            )
            _keep(self._sizes, key, (request, response))
        request.observe(call.request_size or 0)
        response.observe(call.response_size or 0)

    def _count_sent(self, call: Call) -> None:
        key = call.method, call.host, call.status
        try:
            requests, duration = self._sent[key]
        except Exception:  # new here, or not a key
            requests, duration = self._new_pair(key, self.families.sent.needed(), "host")
            _keep(self._sent, key, (requests, duration))
        requests.inc()
        duration.observe(call.duration)

    def _new_pair(self, key: tuple[Any, ...], group: Served | Sent, guard: str) -> tuple[Any, Any]:
        verb, code = labels.method(key[0]), labels.status(key[2])
        (place,) = self._guards[guard].admit(labels.text(key[1]))
        return group.requests.labels(verb, place, code), group.duration.labels(verb, place)

    def _open_of(self, method: Any) -> Any:
        try:
            return self._open[method]
        except Exception:  # new here, or not a key
            gauge = self.families.served.needed().open.labels(labels.method(method))
            _keep(self._open, method, gauge)
            return gauge


def _exemplify(duration: Any, call: Call) -> None:
    """Makes the call's trace the example of its bucket; prometheus-client's own take none here."""
    trace_id = call.trace_id
    if isinstance(duration, HistogramChild) and isinstance(trace_id, str) and _is_trace(trace_id):
        duration.exemplify(call.duration, trace_id)


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Keeps what was looked up: few bytes, and no key whose class could misbehave."""
    parts = key if isinstance(key, tuple) else (key,)
    if len(kept) < _MOST_CACHED and all(map(_is_plain, parts)):
        kept[key] = value


def _is_plain(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= labels.MOST_CHARACTERS
    return value is None or (type(value) is int and value.bit_length() < 64)
