from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import geomon
from geomon import dispatch
from geomon.asgi import TrackingMiddleware
from geomon.sinks.prometheus import PrometheusSink
from geomon.testing import MovableClock
from tests.incoming.raw import END, START, ask, run, scope, sending

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HELLO = sending(START, END)


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    dispatch.install(dispatch.Pipeline([PrometheusSink(registry)]))
    return registry


def exemplars(registry: CollectorRegistry, name: str) -> list[tuple[Any, ...]]:
    text = openmetrics(registry).decode()
    return [
        (sample.labels["le"], sample.exemplar.labels, sample.exemplar.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.exemplar
    ]


def test_a_trace_is_the_exemplar_of_its_bucket(
    registry: CollectorRegistry, clock: MovableClock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.move(0.3)
        await HELLO(scope, receive, send)

    parent = (b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())
    run(TrackingMiddleware(app), scope(headers=[parent]))
    run(TrackingMiddleware(app))
    assert exemplars(registry, "http_request_duration_seconds_bucket") == [
        ("0.5", {"trace_id": TRACE}, 0.3)
    ]
    assert "trace_id" not in generate_latest(registry).decode()


def test_ai_calls_have_exemplars_too(registry: CollectorRegistry, clock: MovableClock) -> None:
    with geomon.bind(trace_id=TRACE), geomon.track_ai("chat", model="m"):
        clock.move(3)
    assert exemplars(registry, "ai_request_duration_seconds_bucket") == [
        ("5.0", {"trace_id": TRACE}, 3.0)
    ]


@pytest.mark.parametrize(
    "trace_id", ["x" * 121, "", "é", "\ud800", 'a"b', "a\nb", 7, object()], ids=range(8)
)
def test_what_cannot_be_an_exemplar_is_none(trace_id: Any, registry: CollectorRegistry) -> None:
    with geomon.bind(trace_id=trace_id), geomon.track_ai("chat", model="m"):
        pass
    assert exemplars(registry, "ai_request_duration_seconds_bucket") == []


def test_sizes_are_counted_only_where_asked(registry: CollectorRegistry) -> None:
    run(TrackingMiddleware(HELLO))
    labels = {"method": "GET", "endpoint": "unmatched"}
    before = generate_latest(registry).decode()
    run(TrackingMiddleware(HELLO, sizes=True))
    assert "size_bytes" not in before
    assert registry.get_sample_value("http_response_size_bytes_sum", labels) == 5
    assert registry.get_sample_value("http_request_size_bytes_sum", labels) == 0
    assert registry.get_sample_value("http_requests_total", {**labels, "status": "200"}) == 2


def test_requests_in_progress_are_those_that_are_open(registry: CollectorRegistry) -> None:
    def in_progress() -> Any:
        return registry.get_sample_value("http_requests_in_progress", {"method": "GET"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(in_progress())
        await HELLO(scope, receive, send)

    async def three() -> None:
        tracked = TrackingMiddleware(app)
        await asyncio.gather(*(ask(tracked) for _ in range(3)))

    seen: list[Any] = []
    asyncio.run(three())
    assert (len(seen), min(seen) >= 1, in_progress()) == (3, True, 0)
