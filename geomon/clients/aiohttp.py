"""aiohttp: each request that is sent, redirects and a middleware's retries included.

What is followed is `ClientSession._request`, which all requests and WebSocket handshakes of a
session go through, and within it, as the innermost client middleware, each request that is sent. A
request that is sent anew after a lost connection, before an answer came, is one.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import wrapt

from geomon import clock
from geomon.clients import exchange as exchanges
from geomon.clients import propagation
from geomon.clients.exchange import Exchange
from geomon.clients.options import Options
from geomon.clients.patching import Function, Patch, Seam

_READS = frozenset(("read", "readany", "readchunk", "readexactly", "readline", "readuntil"))
_ITERATORS = frozenset(("iter_any", "iter_chunked", "iter_chunks"))


def seams(library: types.ModuleType) -> tuple[Seam, ...]:
    """Where the requests of aiohttp go through.

    Raises:
        RuntimeError: it is too old to have client middlewares.
    """
    if not hasattr(library, "ClientMiddlewareType"):
        raise RuntimeError(
            f"geomon cannot instrument aiohttp {library.__version__}: install aiohttp>=3.12"
        )

    def around(original: Function, patch: Patch) -> Function:
        return _around(original, patch, library)

    return (Seam(library.ClientSession, "_request", around),)


def _around(original: Function, patch: Patch, library: types.ModuleType) -> Function:
    @functools.wraps(original)
    async def request(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        options = patch.options_of(self)
        if options is None:
            return await original(self, method, str_or_url, **kwargs)
        sending = _Sending(options)
        chosen = kwargs.get("middlewares")
        kwargs["middlewares"] = (*(self._middlewares if chosen is None else chosen), sending)
        try:
            response = await original(self, method, str_or_url, **kwargs)
        except (library.InvalidURL, library.NonHttpUrlClientError) as error:
            sending.refused(method, error)
            raise
        except library.ClientResponseError as error:
            sending.judged(error)
            raise
        except BaseException as error:
            sending.failed(error)
            raise
        sending.follow(response)
        return response

    return request


class _Sending:
    """One `ClientSession._request`: the requests that it sends, one after the other."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._exchange: Exchange | None = None

    async def __call__(self, request: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        """Sends one, as a client middleware."""
        self._begin(request)
        response = await send(request)
        if self._exchange is not None:
            self._exchange.answered(response.status)
        return response

    def _begin(self, request: Any) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_answered:
            if exchange is not None:
                exchange.closed({})  # a redirect's, or an answer that a middleware did not take
            exchange = exchanges.begin(self._options, request.method, _label(request.url))
            self._exchange = exchange
        if exchange is not None and self._options.propagate:
            _hand_on(request, exchange, self._options)

    def follow(self, response: Any) -> None:
        """Follows the answer that the program gets."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:  # a middleware answered
            return
        try:
            content = response.content
            if response.status == 101 or content.is_eof():
                exchange.complete()
            else:
                content.on_eof(functools.partial(_complete, weakref.ref(exchange)))
                response.content = _Content(content, exchange)
        except Exception as error:
            exchanges.failed(error)

    def failed(self, error: BaseException) -> None:
        """The request failed."""
        if self._exchange is not None:
            self._exchange.failed(error)

    def refused(self, method: str, error: BaseException) -> None:
        """The URL, or a redirect's, is none."""
        if self._exchange is None:
            self._exchange = exchanges.begin(self._options, str(method).upper(), None)
            self.failed(error)
        else:
            self.judged(error)

    def judged(self, error: BaseException) -> None:
        """An error was made of an answer, such as by `raise_for_status`."""
        if self._exchange is None or not self._exchange.is_answered:
            self.failed(error)
        else:
            self._exchange.closed({})


def _label(url: Any) -> str | None:
    try:
        return url.host_port_subcomponent or None
    except Exception as error:
        exchanges.failed(error)
        return None


def _hand_on(request: Any, exchange: Exchange, options: Options) -> None:
    """Adds what is handed on; a redirect's request is built from other headers than these."""
    try:
        host = request.url.raw_host or ""
        request.headers.update(propagation.headers(options, exchange.active, host, request.headers))
    except Exception as error:
        exchanges.failed(error)


def _complete(reference: weakref.ref[Exchange]) -> None:
    exchange = reference()
    if exchange is not None:
        exchange.complete()


class _Content(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # aiohttp's StreamReader
    """What a response's body is read from. Its last byte is told by aiohttp itself."""

    def __init__(self, content: Any, exchange: Exchange) -> None:
        super().__init__(content)
        self._self_exchange = exchange

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name in _READS:
            return functools.partial(self._self_read, value)
        if name in _ITERATORS:  # so that they read through this one
            return types.MethodType(getattr(type(self.__wrapped__), name), self)
        return value

    def __aiter__(self) -> Any:
        return type(self.__wrapped__).__aiter__(self)

    def exception(self) -> BaseException | None:
        """As the reader's; the response asks before it closes."""
        error: BaseException | None = self.__wrapped__.exception()
        if error is not None:
            self._self_exchange.failed(error)
        return error

    def set_exception(self, *args: Any, **kwargs: Any) -> None:
        """As the reader's; the response sets one when it is closed."""
        self._self_exchange.closed({})
        self.__wrapped__.set_exception(*args, **kwargs)

    async def _self_read(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        exchange, since = self._self_exchange, clock.monotonic()
        try:
            data = await read(*args, **kwargs)
        except Exception as error:  # after a cancelled read the program may read on
            if isinstance(error, TimeoutError) or self.__wrapped__.exception() is not None:
                exchange.end(error, since)
            raise
        exchange.take(data) if isinstance(data, bytes) else exchange.came()
        return data
