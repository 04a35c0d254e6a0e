"""What following a client's request adds to it, beside OpenTelemetry; transports are in process."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import aiohttp
import httpx
import requests
from multidict import CIMultiDict, CIMultiDictProxy
from prometheus_client import CollectorRegistry
from urllib3 import HTTPResponse

import geomon
from tests.benchmarks.measure import interleaved, show

CALLS = 1_000
REPEATS = 15
URL = "http://api.example.com/v1/items"
BODY = b"x" * 1_000
BARE = "the client alone"
OURS = "geomon"

Block = Callable[[], AbstractContextManager[Any]]
Make = Callable[[], Callable[[], float]]


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is read after its head, as a real transport's."""

    def __iter__(self) -> Any:
        yield BODY

    async def __aiter__(self) -> Any:
        yield BODY


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Body())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Body())


class Adapter(requests.adapters.HTTPAdapter):
    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        raw = HTTPResponse(io.BytesIO(BODY), status=200, preload_content=False)
        return self.build_response(request, raw)


class Connection:
    """What aiohttp's connector gives; nothing is sent on it."""

    transport = None

    def __init__(self) -> None:
        self.protocol = self

    def set_response_params(self, **params: Any) -> None:
        pass

    def close(self) -> None:
        pass

    release = close

    def add_callback(self, callback: Any) -> None:
        callback()


class Connector(aiohttp.BaseConnector):
    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        return Connection()


class Response(aiohttp.ClientResponse):
    async def start(self, connection: Any) -> Response:
        self._closed = False
        self.status, self.reason = 200, "OK"
        self._headers, self._raw_headers = CIMultiDictProxy(CIMultiDict()), ()
        self.content = aiohttp.StreamReader(Protocol(), 2**16, loop=self._loop)  # type: ignore[arg-type]
        self.content.feed_data(BODY)
        self._loop.call_soon(self.content.feed_eof)  # the last byte comes after the head
        return self


class Protocol:
    connected = True

    def resume_reading(self, **kwargs: Any) -> None:
        pass

    def pause_reading(self) -> None:
        pass


class Request(aiohttp.ClientRequest):
    async def send(self, connection: Any) -> Any:
        return Response(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=[],
            loop=self.loop,
            session=self._session,  # type: ignore[arg-type]
            stream_writer=Writer(),  # type: ignore[arg-type]
        )


class Writer:
    output_size = 0


def of(call: Callable[[], Any]) -> Callable[[], float]:
    def once() -> float:
        begin = time.perf_counter()
        for _ in range(CALLS):
            call()
        return (time.perf_counter() - begin) / CALLS * 1e6

    return once


def of_async(make: Callable[[], Any], send: Callable[[Any], Any]) -> Callable[[], float]:
    async def main() -> float:
        async with make() as client:
            begin = time.perf_counter()
            for _ in range(CALLS):
                await send(client)
            return (time.perf_counter() - begin) / CALLS * 1e6

    return lambda: asyncio.run(main())


def httpx_calls() -> Callable[[], float]:
    client = httpx.Client(transport=Transport(), trust_env=False)
    return of(lambda: client.get(URL))


def async_httpx_calls() -> Callable[[], float]:
    return of_async(
        lambda: httpx.AsyncClient(transport=Transport(), trust_env=False),
        lambda client: client.get(URL),
    )


def requests_calls() -> Callable[[], float]:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter())
    return of(lambda: session.get(URL))


def aiohttp_calls() -> Callable[[], float]:
    async def send(session: Any) -> None:
        async with session.get(URL) as response:
            await response.read()

    return of_async(
        lambda: aiohttp.ClientSession(
            connector=Connector(), request_class=Request, response_class=Response
        ),
        send,
    )


@contextmanager
def opentelemetry(name: str) -> Any:
    from importlib import import_module

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from tests.benchmarks.calls import Nowhere

    module = {"httpx": "httpx", "requests": "requests", "aiohttp": "aiohttp_client"}[name]
    of_name = {"httpx": "HTTPXClient", "requests": "Requests", "aiohttp": "AioHttpClient"}[name]
    package = import_module(f"opentelemetry.instrumentation.{module}")
    instrumentor = getattr(package, f"{of_name}Instrumentor")()
    tracers, meters = _providers.get("t"), _providers.get("m")
    if tracers is None:
        tracers = _providers["t"] = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
        meters = _providers["m"] = MeterProvider([InMemoryMetricReader()])
    instrumentor.instrument(tracer_provider=tracers, meter_provider=meters)
    if name == "httpx":  # it wraps the two transports of httpx only
        import wrapt

        for function in ("handle_request", "handle_async_request"):
            wrapt.wrap_function_wrapper(Transport, function, _as_httpx(instrumentor, function))
    try:
        yield
    finally:
        instrumentor.uninstrument()
        if name == "httpx":
            for function in ("handle_request", "handle_async_request"):
                setattr(Transport, function, getattr(Transport, function).__wrapped__)


_providers: dict[str, Any] = {}


def _as_httpx(instrumentor: Any, function: str) -> Any:
    owner = httpx.HTTPTransport if function == "handle_request" else httpx.AsyncHTTPTransport
    return vars(owner)[function]._self_wrapper


def compare(title: str, name: str, make: Make) -> None:
    blocks: dict[str, Block] = {
        BARE: nullcontext,
        OURS: lambda: geomon.instrument(name),
        f"OpenTelemetry's instrumentation of {name}": lambda: opentelemetry(name),
    }
    try:
        with opentelemetry(name):
            pass
    except (ImportError, AttributeError) as missing:
        print(f"\nOpenTelemetry: left out, {missing}")
        blocks.popitem()
    results = interleaved({what: _within(block, make) for what, block in blocks.items()}, REPEATS)
    alone = results.pop(BARE)
    show(
        f"What is added to {title} ({alone:.0f} µs alone; log record off)",
        {what: value - alone for what, value in results.items()},
        OURS,
    )


def _within(block: Block, make: Make) -> Callable[[], float]:
    def once() -> float:
        with block():
            return make()()

    return once


def main() -> None:
    logging.getLogger("geomon").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    geomon.configure(registry=CollectorRegistry(), console=False, rules=[])
    compare("a request of httpx", "httpx", httpx_calls)
    compare("an asynchronous request of httpx", "httpx", async_httpx_calls)
    compare("a request of requests", "requests", requests_calls)
    compare("a request of aiohttp", "aiohttp", aiohttp_calls)


if __name__ == "__main__":
    main()
