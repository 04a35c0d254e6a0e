"""`configure()`: the only place where things are wired together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from geomon import dispatch, losses, settings
from geomon.call import Call
from geomon.settings import Buckets, Settings
from geomon.sinks.recent import RecentCalls

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Sink = Callable[[Call], object]

_configured: dispatch.Pipeline = dispatch.OFF  # what configure() or the first call put in force


class Handle:
    """What `configure()` gives; a with-block closes it."""

    def __init__(
        self, pipeline: dispatch.Pipeline, chosen: Settings, recent: RecentCalls | None = None
    ) -> None:
        self._pipeline = pipeline
        self._recent = recent
        self.settings = chosen
        """The settings in force."""

    @property
    def recent(self) -> list[Call]:
        """The last 1,000 calls, oldest first."""
        dispatch.settle()
        return self._recent.calls() if self._recent is not None else []

    def close(self) -> None:
        """Ends this configuration: calls that begin from now on go nowhere. Can be repeated."""
        dispatch.settle()
        if dispatch.pipeline is self._pipeline:
            dispatch.install(dispatch.OFF)
        _close(self._pipeline)

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def configure(
    *,
    registry: CollectorRegistry | None = None,
    namespace: str | None = None,
    sinks: Iterable[Sink] = (),
    buckets: Buckets | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    capture_content: bool | None = None,
    label_limit: int | None = None,
) -> Handle:
    """Sets geomon up; again replaces the earlier set-up, and reuses its metrics.

    Arguments win over `GEOMON_*` variables (`GEOMON_NAMESPACE`, `GEOMON_CAPTURE_CONTENT`,
    `GEOMON_LABEL_LIMIT`), and those over defaults. A program that never calls it gets the defaults
    at its first tracked call.

    Args:
        registry: Where the metrics go; prometheus-client's default registry.
        namespace: Put before every metric name, for a registry where geomon's names are taken.
        sinks: Further callables that take each finished `Call`, in the calling thread.
        buckets: Upper bounds of the histograms, in seconds.
        prices: US dollars for a million tokens by model, before the prices of genai-prices:
            `{"gpt-4o": {"input": 2.5, "output": 10, "cached_input": 1.25, "cache_write": 2.5}}`.
        capture_content: Whether texts that may hold prompts are written (an exception's message).
        label_limit: How many values of (type, model), endpoint and host metrics tell apart.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument or variable has a value that cannot be, or a metric's name is taken.
    """
    chosen = _chosen(namespace, buckets, prices, capture_content, label_limit)
    if registry is not None and not hasattr(type(registry), "register"):
        raise TypeError(f"registry={registry!r}: write registry=CollectorRegistry()")
    more = _checked_sinks(sinks)
    if dispatch.disabled:
        return Handle(dispatch.OFF, chosen)
    recent = RecentCalls()
    pipeline = _pipeline(chosen, registry, [recent.keep, *more])
    global _configured
    earlier, _configured = _configured, pipeline
    dispatch.install(pipeline)
    _close(earlier, kept=pipeline)
    return Handle(pipeline, chosen, recent)


def _chosen(
    namespace: str | None,
    buckets: Buckets | None,
    prices: Mapping[str, Mapping[str, float]] | None,
    capture_content: bool | None,
    label_limit: int | None,
) -> Settings:
    if namespace is None:
        namespace = os.environ.get("GEOMON_NAMESPACE", "")
    if capture_content is None:
        capture_content = settings.flag("GEOMON_CAPTURE_CONTENT", False)
    if label_limit is None:
        label_limit = settings.number("GEOMON_LABEL_LIMIT", 1000)
    if buckets is None:
        buckets = Buckets()
    return Settings(namespace, buckets, prices, capture_content, label_limit)


def _checked_sinks(sinks: Iterable[Sink]) -> list[Sink]:
    if callable(sinks) or not isinstance(sinks, Iterable):
        raise TypeError(f"configure(sinks=[...]) takes a list of callables, not {sinks!r}")
    checked = list(sinks)
    for sink in checked:
        if not callable(sink):
            raise TypeError(
                f"the sink {sink!r} cannot be called: a sink is a function that takes a Call"
            )
    return checked


def _pipeline(
    chosen: Settings, registry: CollectorRegistry | None, more: list[Sink]
) -> dispatch.Pipeline:
    from geomon.sinks.log import LogSink
    from geomon.sinks.prometheus import PrometheusSink
    from geomon.usage import PriceBook

    cost = PriceBook(chosen.prices).cost
    metrics = PrometheusSink(registry, chosen.namespace, chosen.buckets, chosen.label_limit)
    sinks: list[Sink] = [metrics, LogSink(chosen.capture_content), *more]
    return dispatch.Pipeline(sinks, cost)


def _close(pipeline: dispatch.Pipeline, kept: dispatch.Pipeline = dispatch.OFF) -> None:
    if pipeline.closed or pipeline is dispatch.OFF:
        return
    pipeline.closed = True
    for sink in pipeline.sinks:
        close: Any = getattr(sink, "close", None)
        if callable(close) and not any(sink is other for other in kept.sinks):
            try:
                close()
            except Exception as error:
                losses.failed("sink", "close_failed", error)


def _default_pipeline() -> dispatch.Pipeline:
    """The set-up of a program that never called `configure()`; what fails leaves the rest."""
    global _configured
    try:
        _configured = _pipeline(_chosen(None, None, None, None, None), None, [])
    except ValueError as error:
        losses.failed("metrics", "setup_failed", error, str(error))
        from geomon.sinks.log import LogSink

        _configured = dispatch.Pipeline([LogSink()])
    return _configured


dispatch.set_default(_default_pipeline)
