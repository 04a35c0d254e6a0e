"""The metric families of calls, in groups, made once a registry and namespace."""

from __future__ import annotations

import sys
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from geomon import locks
from geomon.settings import Buckets
from geomon.sinks import store
from geomon.sinks.groups import Group, is_multiprocess
from geomon.sinks.labels import LabelGuard

_MARK = "_geomon_families"
_AI = ("type", "model")
_lock = locks.lock_of(sys.modules[__name__])


class Own(Group):
    """What geomon says of itself."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        super().__init__(registry, namespace)
        self.losses = self.counter(
            "geomon_losses_total", "What geomon itself lost or failed to do.", "part", "reason"
        )
        self.build_info = self.gauge("geomon_build_info", "1, with geomon's version.", "version")


class Errors(Group):
    """The errors of all kinds of calls."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        super().__init__(registry, namespace)
        self.total = self.counter("error_rate_total", "Errors by error type.", "type")


class Ai(Group):
    """The AI calls."""

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Buckets) -> None:
        super().__init__(registry, namespace)
        counter, histogram = self.counter, self.histogram
        self.requests = counter("ai_requests_total", "Finished AI calls.", *_AI)
        self.duration = histogram(
            "ai_request_duration_seconds", "Duration of AI calls.", buckets.ai, *_AI
        )
        self.errors = counter(
            "ai_errors_total", "AI calls that failed or were cancelled.", *_AI, "error_type"
        )
        self.attempts = counter(
            "ai_attempts_total", "Inner calls and client retries of AI calls.", *_AI, "outcome"
        )
        self.open = self.in_progress("ai_requests_in_progress", "AI calls now open.", *_AI)
        self.tokens = counter(
            "ai_tokens_total",
            "Tokens; input holds cached ones, output holds reasoning.",
            *_AI,
            "token_type",
        )
        self.cost = counter("ai_cost_usd_total", "Cost of AI calls in US dollars.", *_AI)
        self.unmetered = counter(
            "ai_unmetered_calls_total", "AI calls whose cost is not known.", *_AI, "reason"
        )
        self.first_token = histogram(
            "ai_time_to_first_token_seconds", "Time to a stream's first token.", buckets.ai, *_AI
        )
        self.per_token = histogram(
            "ai_time_per_output_token_seconds",
            "Time a token after a stream's first one.",
            buckets.time_per_output_token,
            *_AI,
        )
        self.rate_limit = self.gauge(
            "ai_rate_limit_remaining_ratio",
            "What is left of the provider's limit, 0 to 1.",
            "model",
            "kind",
        )


class Served(Group):
    """The requests that the program serves."""

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Buckets) -> None:
        super().__init__(registry, namespace)
        key = ("method", "endpoint")
        self.requests = self.counter(
            "http_requests_total", "Requests that were served.", *key, "status"
        )
        self.duration = self.histogram(
            "http_request_duration_seconds",
            "Duration of requests that were served.",
            buckets.http,
            *key,
        )
        self.open = self.in_progress(
            "http_requests_in_progress", "Requests now being served.", "method"
        )


class Sizes(Group):
    """The sizes of requests that the program serves, and of its responses."""

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Buckets) -> None:
        super().__init__(registry, namespace)
        key = ("method", "endpoint")
        self.request = self.histogram(
            "http_request_size_bytes", "Bodies of requests, in bytes.", buckets.http_size, *key
        )
        self.response = self.histogram(
            "http_response_size_bytes", "Bodies of responses, in bytes.", buckets.http_size, *key
        )


class Sent(Group):
    """The requests that the program sends."""

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Buckets) -> None:
        super().__init__(registry, namespace)
        key = ("method", "host")
        self.requests = self.counter(
            "http_client_requests_total", "Requests that were sent.", *key, "status"
        )
        self.duration = self.histogram(
            "http_client_request_duration_seconds",
            "Duration of requests that were sent.",
            buckets.http,
            *key,
        )


class Families:
    """Every metric that belongs to calls, in one registry."""

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Buckets) -> None:
        self.own = Own(registry, namespace)
        self.errors = Errors(registry, namespace)
        self.ai = Ai(registry, namespace, buckets)
        self.served = Served(registry, namespace, buckets)
        self.sizes = Sizes(registry, namespace, buckets)
        self.sent = Sent(registry, namespace, buckets)
        self.guards: dict[str, LabelGuard] = {}
        self.buckets = buckets
        self.count_call = store.count_call_apart if is_multiprocess() else store.count_call
        self._groups: tuple[Group, ...] = (
            self.own,
            self.errors,
            self.ai,
            self.served,
            self.sizes,
            self.sent,
        )
        self._shown: dict[Any, dict[tuple[str, str], int]] = {}

    def check(self) -> None:
        """Raises ValueError where a name is taken; puts back what the program took out."""
        for group in self._groups:
            group.check()

    def unregister(self) -> None:
        """Takes the metrics out of their registry."""
        for group in self._groups:
            group.unregister()

    def show_losses(self, source: Any, part: str, reason: str, total: int) -> None:
        """Counts what `source` lost beyond what is shown of it; several sinks may tell."""
        shown = self._shown.setdefault(source, {})  # reloaded modules count from 0
        self.own.losses.labels(part, reason).inc(total - shown.get((part, reason), 0))
        shown[part, reason] = total


def families_of(
    registry: CollectorRegistry | None, namespace: str, buckets: Buckets, check: bool
) -> Families:
    """The registry's families; those of an earlier configuration are used again.

    They are kept on the registry itself, so that a reloaded module finds them too. Other buckets
    than before make them anew: a histogram cannot change its buckets.

    Raises:
        ValueError: `check` is set and another library has registered one of the names.
    """
    registry = REGISTRY if registry is None else registry
    with _lock:  # many threads may make the first call at once
        kept: dict[str, Families] = vars(registry).setdefault(_MARK, {})
        earlier = kept.get(namespace)
        if earlier is None or vars(earlier.buckets) != vars(buckets):  # a reload makes != true
            families = _instead_of(earlier, Families(registry, namespace, buckets), check)
            kept[namespace] = families
        else:
            families = earlier
            if check:
                families.check()
    families.own.needed().build_info.labels(_version()).set(1)
    return families


def _instead_of(earlier: Families | None, families: Families, check: bool) -> Families:
    if earlier is not None:
        earlier.unregister()
    try:
        if check:
            families.check()
    except ValueError:
        if earlier is not None:
            earlier.check()
        raise
    return families


def _version() -> str:
    from geomon.version import __version__

    return __version__
