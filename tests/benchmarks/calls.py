"""What a tracked call costs beside what people write by hand, and beside tracing SDKs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import wrapt
from prometheus_client import CollectorRegistry, Counter, Histogram

import geomon
from geomon import dispatch
from geomon.settings import AI_BUCKETS
from tests.benchmarks.measure import interleaved, of_awaits, of_calls, show

BY_HAND = "hand-written Counter + Histogram"
RESPONSE = {
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hello."}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}


def work(x: int) -> int:
    return x


async def async_work(x: int) -> int:
    return x


def by_hand() -> tuple[Any, Any]:
    registry = CollectorRegistry()
    count = Counter("hand_requests", "-", ["type", "model"], registry=registry)
    duration = Histogram(
        "hand_seconds", "-", ["type", "model"], registry=registry, buckets=AI_BUCKETS
    )

    def sync(x: int) -> int:
        begin = time.perf_counter()
        try:
            return work(x)
        finally:
            count.labels("bench", "m").inc()
            duration.labels("bench", "m").observe(time.perf_counter() - begin)

    async def asynchronous(x: int) -> int:
        begin = time.perf_counter()
        try:
            return await async_work(x)
        finally:
            count.labels("bench", "m").inc()
            duration.labels("bench", "m").observe(time.perf_counter() - begin)

    return sync, asynchronous


def with_sinks(run: Callable[[], float], pipeline: dispatch.Pipeline) -> Callable[[], float]:
    def once() -> float:
        earlier = dispatch.install(pipeline)
        try:
            return run()
        finally:
            dispatch.install(earlier)

    return once


def opentelemetry_sdk() -> Callable[[int], int]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracer = tracers.get_tracer("bench")
    meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
    count, duration = meter.create_counter("requests"), meter.create_histogram("seconds")
    labels = {"type": "bench", "model": "m"}

    def sync(x: int) -> int:
        begin = time.perf_counter()
        with tracer.start_as_current_span("bench", attributes=labels):
            try:
                return work(x)
            finally:
                count.add(1, labels)
                duration.record(time.perf_counter() - begin, labels)

    return sync


class Nowhere:
    """A span exporter that throws away: only the caller's side is measured."""

    def export(self, spans: Any) -> Any:
        from opentelemetry.sdk.trace.export import SpanExportResult

        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def logfire_instrument() -> Callable[[int], int]:
    import logfire

    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
    return logfire.instrument("bench")(work)  # type: ignore[no-any-return]


def langfuse_observe() -> Callable[[int], int]:
    from langfuse import Langfuse, observe

    Langfuse(public_key="pk-lf-bench", secret_key="sk-lf-bench", span_exporter=Nowhere())
    return observe(name="bench")(work)  # type: ignore[no-any-return]


PEERS = {
    "OpenTelemetry SDK (span, histogram, counter)": opentelemetry_sdk,
    "Logfire @instrument": logfire_instrument,
    "Langfuse @observe": langfuse_observe,
}


def main() -> None:
    logging.getLogger("geomon").setLevel(logging.CRITICAL)
    geomon.configure(registry=CollectorRegistry(), console=False)
    sync, asynchronous = by_hand()
    track = geomon.track_ai("bench", model="m")
    tracked, async_tracked = track(work), track(async_work)
    empty = wrapt.FunctionWrapper(work, lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs))

    def block(x: int) -> int:
        with geomon.track_ai("bench", model="m"):
            return work(x)

    def kept_block(x: int) -> int:
        with track:
            return work(x)

    @geomon.track_ai("bench", model="gpt-4o")
    def answered(x: int) -> Any:
        return RESPONSE

    @track
    def fails(x: int) -> None:
        raise TimeoutError

    def failed(x: int) -> None:
        with suppress(TimeoutError):
            fails(x)

    def bound(x: int) -> int:
        with geomon.bind(request_id="r-1"):
            return tracked(x)

    results = interleaved(
        {
            BY_HAND: of_calls(sync),
            "wrapt's empty wrapper (the floor)": of_calls(empty),
            "geomon, no sinks": with_sinks(of_calls(tracked), dispatch.Pipeline(())),
            "geomon, everything": of_calls(tracked),
            "geomon, with-block": of_calls(block),
            "geomon, with-block of a kept tracker": of_calls(kept_block),
            "geomon, everything, under bind()": of_calls(bound),
            "geomon, a request that is served": of_calls(geomon.track_request("GET", "/")(work)),
            "geomon, an error": of_calls(failed),
            "geomon, a response with tokens and cost": of_calls(answered),
        }
    )
    show("A synchronous call (log record off)", results, BY_HAND)
    results = interleaved(
        {BY_HAND: of_awaits(asynchronous), "geomon, everything": of_awaits(async_tracked)}
    )
    show("An asynchronous call (log record off)", results, BY_HAND)

    contestants = {"geomon, everything": of_calls(tracked)}
    for name, make in PEERS.items():
        try:
            contestants[name] = of_calls(make(), calls=2_000)
        except ImportError as missing:
            print(f"\n{name}: left out, {missing}")
    show("Beside tracing SDKs", interleaved(contestants, 7), "geomon, everything")


if __name__ == "__main__":
    main()
