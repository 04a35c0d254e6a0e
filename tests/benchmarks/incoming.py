"""What the ASGI middleware adds to a request, beside its peers; the app is called directly."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import geomon
import geomon.asgi
from tests.benchmarks import logs
from tests.benchmarks.measure import interleaved, show

CALLS = 1_000
REPEATS = 15
BARE = "the application alone"
OURS = "geomon"
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"python-httpx/0.28"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
    (b"x-request-id", b"6c1f2a4e-0b1d-4f7e-9d3a-1f0c2b3a4d5e"),
]


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


def starlette(routes: int) -> Any:
    paths = [f"/route{number}/{{name}}" for number in range(routes - 1)]
    return Starlette(routes=[Route(path, answer) for path in (*paths, "/hello/{name}")])


def instrumentator(routes: int) -> Any:
    from prometheus_fastapi_instrumentator import Instrumentator

    app = starlette(routes)
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return app


def opentelemetry(routes: int) -> Any:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from tests.benchmarks.calls import Nowhere

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    meters = MeterProvider([InMemoryMetricReader()])
    return OpenTelemetryMiddleware(
        starlette(routes), tracer_provider=tracers, meter_provider=meters
    )


def ours(routes: int) -> Any:
    return geomon.asgi.TrackingMiddleware(starlette(routes))


def of_requests(app: Any) -> Callable[[], float]:
    """Microseconds a request to the application's last route."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def all_requests() -> float:
        begin = time.perf_counter()
        for _ in range(CALLS):
            await app(scope(), receive, send)
        return (time.perf_counter() - begin) / CALLS * 1e6

    return lambda: asyncio.run(all_requests())


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/hello/you",
        "raw_path": b"/hello/you",
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


PEERS: dict[str, Callable[[int], Any]] = {
    OURS: ours,
    "prometheus-fastapi-instrumentator": instrumentator,
    "OpenTelemetry ASGI middleware with SDK": opentelemetry,
}


def added(routes: int) -> dict[str, float]:
    """What each one adds to an application of so many routes, in microseconds."""
    run = {BARE: of_requests(starlette(routes))}
    for name, make in PEERS.items():
        try:
            run[name] = of_requests(make(routes))
        except ImportError as missing:
            print(f"\n{name}: left out, {missing}")
    results = interleaved(run, REPEATS)
    bare = results.pop(BARE)
    return {name: value - bare for name, value in results.items()}


def driven(app: Any) -> Callable[[], None]:
    """One request to an application that never has to wait, without an event loop."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    def run() -> None:
        coroutine = app(scope(), receive, send)
        with suppress(StopIteration):
            coroutine.send(None)
            raise RuntimeError("the application waited")

    return run


def with_access_record() -> None:
    """What a request and its record into a file add, beside one stock record."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as directory:
        stock = logs.stock(logging.FileHandler(f"{directory}/stock.json"))
        file = logs.ours(log_dir=directory, console=False, error_file=None)
        results = interleaved(
            {
                logs.STOCK: logs.whole(stock),
                BARE: logs.whole(file, driven(starlette(1))),
                OURS: logs.whole(file, driven(ours(1))),
            }
        )
    root.setLevel(level)
    results[f"{OURS}, without the application"] = results[OURS] - results[BARE]
    show("A request with its record into a file, beside one stock record", results, logs.STOCK)


def main() -> None:
    geomon.configure(registry=CollectorRegistry(), console=False)
    with_access_record()
    logging.getLogger("geomon").setLevel(logging.CRITICAL)
    for routes in (1, 50):
        results = added(routes)
        show(f"What a request costs more, {routes} route(s), each beside ours", results, OURS)
        for name, value in results.items():
            if name != OURS:
                print(f"  ours is {results[OURS] / value:.3f} of {name}")


if __name__ == "__main__":
    main()
