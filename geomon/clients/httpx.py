"""httpx and httpx2: each request that is sent, redirects and authentication's rounds included.

What is followed is `_send_single_request` of `Client` and `AsyncClient`: one request, whichever
transport, proxy, mock or event hook it goes through. `Client.send` would count a chain of redirects
as one request, to its first host, and let headers go on to the others.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

from geomon import clock
from geomon.clients import exchange as exchanges
from geomon.clients import propagation
from geomon.clients.exchange import Exchange
from geomon.clients.options import Options
from geomon.clients.patching import Function, Patch, Seam

_NAME = "_send_single_request"


def seams(library: ModuleType) -> tuple[Seam, ...]:
    """Where the requests of httpx, or httpx2, go through.

    Raises:
        RuntimeError: it is a version that geomon does not know.
    """
    if not hasattr(library.Client, _NAME) or not hasattr(library.AsyncClient, _NAME):
        raise RuntimeError(
            f"geomon cannot instrument this version of {library.__name__}: "
            f"its Client has no {_NAME}"
        )
    body, async_body = _bodies(library.SyncByteStream, library.AsyncByteStream)

    def around(original: Function, patch: Patch) -> Function:
        return _around(original, patch, body)

    def around_async(original: Function, patch: Patch) -> Function:
        return _around_async(original, patch, async_body)

    return Seam(library.Client, _NAME, around), Seam(library.AsyncClient, _NAME, around_async)


def _around(original: Function, patch: Patch, body: Any) -> Function:
    @functools.wraps(original)
    def send(self: Any, request: Any) -> Any:
        options = patch.options_of(self)
        exchange = None if options is None else _begin(options, request)
        if options is None or exchange is None:
            return original(self, request)
        request = _handed_on(request, exchange, options)
        try:
            response = original(self, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        _follow(response, exchange, body)
        return response

    return send


def _around_async(original: Function, patch: Patch, body: Any) -> Function:
    @functools.wraps(original)
    async def send(self: Any, request: Any) -> Any:
        options = patch.options_of(self)
        exchange = None if options is None else _begin(options, request)
        if options is None or exchange is None:
            return await original(self, request)
        request = _handed_on(request, exchange, options)
        try:
            response = await original(self, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        _follow(response, exchange, body)
        return response

    return send


def _begin(options: Options, request: Any) -> Exchange | None:
    try:
        host = request.url.netloc.decode("ascii")
    except Exception as error:
        exchanges.failed(error)
        return None
    return exchanges.begin(options, request.method, host or None)


def _handed_on(request: Any, exchange: Exchange, options: Options) -> Any:
    """The request with what is handed on; the program's own stays as it is.

    It is a copy, so that a redirect, which is built from the program's, takes nothing along.
    """
    if not options.propagate:
        return request
    try:
        host = request.url.raw_host.decode("ascii")
        added = propagation.headers(options, exchange.active, host, request.headers)
        if not added:
            return request
        sent = object.__new__(type(request))
        sent.__dict__.update(request.__dict__)
        sent.headers = request.headers.copy()
        sent.headers.update(added)
    except Exception as error:
        exchanges.failed(error)
        return request
    return sent


def _follow(response: Any, exchange: Exchange, body: Any) -> None:
    try:
        exchange.answered(response.status_code)
        # a mock's may have its body from the start; what follows a 101 is another protocol's
        if response.is_closed or response.status_code == 101:
            exchange.complete()
        else:
            response.stream = body(response.stream, exchange, response.headers)
            if "content-encoding" in response.headers:
                _follow_decoding(response, exchange)
    except Exception as error:
        exchanges.failed(error)


def _follow_decoding(response: Any, exchange: Exchange) -> None:
    with suppress(Exception):  # what cannot be decoded at all fails when it is read
        response._decoder = _Decoder(response._get_content_decoder(), exchange)


@functools.cache
def _bodies(sync_stream: Any, async_stream: Any) -> tuple[Any, Any]:
    """The classes of bodies, which must derive from the library's own."""

    class Body(_Followed, sync_stream):  # type: ignore[misc] # a class that is known at run time
        """A response's body."""

        def __iter__(self) -> Iterator[bytes]:
            exchange, since = self._exchange, clock.monotonic()
            try:
                for chunk in self._stream:
                    exchange.take(chunk)
                    yield chunk
                    since = clock.monotonic()
            except GeneratorExit:  # what reads it was dropped: the response may still be closed
                raise
            except BaseException as error:
                exchange.end(error, since)
                raise
            exchange.end(None, since)

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._exchange.closed(self._headers)

    class AsyncBody(_Followed, async_stream):  # type: ignore[misc] # as above
        """An asynchronous response's body."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            exchange, since = self._exchange, clock.monotonic()
            stream = self._stream.__aiter__()
            try:
                async for chunk in stream:
                    exchange.take(chunk)
                    yield chunk
                    since = clock.monotonic()
            except GeneratorExit:
                raise
            except BaseException as error:
                exchange.end(error, since)
                raise
            finally:
                if isinstance(stream, AsyncGenerator):
                    await stream.aclose()
            exchange.end(None, since)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._exchange.closed(self._headers)

    return Body, AsyncBody


class _Followed:
    """What stands in for a response's stream; it knows what the stream knows."""

    def __init__(self, stream: Any, exchange: Exchange, headers: Any) -> None:
        self._stream = stream
        self._exchange = exchange
        self._headers = headers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Decoder:
    """What decodes a response's body; where it cannot, nobody tells the body."""

    def __init__(self, decoder: Any, exchange: Exchange) -> None:
        self._decoder = decoder
        self._exchange = exchange

    def decode(self, data: bytes) -> Any:
        """As the decoder's."""
        return self._decoded(self._decoder.decode, data)

    def flush(self) -> Any:
        """As the decoder's."""
        return self._decoded(self._decoder.flush)

    def _decoded(self, decode: Callable[..., Any], *data: bytes) -> Any:
        """Bytes of httpx's decoders, an iterator of httpx2's."""
        try:
            decoded = decode(*data)
        except Exception as error:
            self._exchange.failed(error)
            raise
        return decoded if isinstance(decoded, bytes) else self._each(decoded)

    def _each(self, decoded: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from decoded
        except Exception as error:
            self._exchange.failed(error)
            raise
