"""requests: each request that a session hands to an adapter, redirects included.

`Session.send` follows redirects within itself. So what is followed is the `send` of the adapter
that it asks the session for, and that a hook, such as digest authentication's, asks the response
for. Retries that urllib3 makes inside an adapter are one request.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import wrapt

from geomon import clock
from geomon.clients import exchange as exchanges
from geomon.clients import hosts, propagation
from geomon.clients.exchange import Exchange
from geomon.clients.options import Options
from geomon.clients.patching import Function, Patch, Seam

_FOLLOWED = {
    **dict.fromkeys(
        ("read", "read1", "readall", "readinto", "readline", "readlines", "drain_conn"),
        "_self_read",
    ),
    **dict.fromkeys(("read_chunked", "stream"), "_self_stream"),
    "close": "_self_close",
}


def seams(library: ModuleType) -> tuple[Seam, ...]:
    """Where the requests of requests go through."""
    return (Seam(library.Session, "send", _around),)


def _around(original: Function, patch: Patch) -> Function:
    @functools.wraps(original)
    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        options = patch.options_of(self)
        if options is None:
            return original(self, request, **kwargs)
        sending = _Sending(self, request, options)
        try:
            return original(sending, request, **kwargs)
        finally:
            sending._self_over()  # the program gets the adapter itself

    return send


class _Sending(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # a session of any class
    """The session while it sends one request."""

    def __init__(self, session: Any, request: Any, options: Options) -> None:
        super().__init__(session)
        self._self_request = request
        self._self_options = options
        self._self_responses: list[Any] = []

    def get_adapter(self, *args: Any, **kwargs: Any) -> Any:
        """As the session's, for this request."""
        try:
            adapter = self.__wrapped__.get_adapter(*args, **kwargs)
        except BaseException as error:  # no adapter knows the URL's scheme
            exchange = _begin(self._self_options, self._self_request)
            if exchange is not None:
                exchange.failed(error)
            raise
        return _Adapter(adapter, self._self_options, self._self_responses)

    def _self_over(self) -> None:
        for response in self._self_responses:
            if isinstance(response.connection, _Adapter):
                response.connection = response.connection.adapter


class _Adapter:
    """The adapter that one request is sent by; a hook finds it as a response's connection."""

    def __init__(self, adapter: Any, options: Options, responses: list[Any]) -> None:
        self.adapter = adapter
        self._options = options
        self._responses = responses

    def __getattr__(self, name: str) -> Any:
        return getattr(self.adapter, name)

    def send(self, request: Any, **kwargs: Any) -> Any:
        """As the adapter's."""
        exchange = _begin(self._options, request)
        if exchange is None:
            return self.adapter.send(request, **kwargs)
        request = _handed_on(request, exchange, self._options)
        try:
            response = self.adapter.send(request, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        _follow(response, exchange)
        if getattr(response, "connection", None) is self.adapter:
            response.connection = self
            self._responses.append(response)
        return response


def _begin(options: Options, request: Any) -> Exchange | None:
    try:
        label = _host(request.url)[1]
    except Exception:  # what was prepared by hand may hold anything
        label = None
    return exchanges.begin(options, request.method or "", label)


def _host(url: str) -> tuple[str, str | None]:
    end = url.find("/", url.find("//") + 2)
    return hosts.split(url if end < 0 else url[:end])


def _handed_on(request: Any, exchange: Exchange, options: Options) -> Any:
    """The request with what is handed on; the program's own stays as it is.

    It is a copy, so that a redirect, which is built from the program's, takes nothing along.
    """
    if not options.propagate:
        return request
    try:
        host = _host(request.url)[0]
        added = propagation.headers(options, exchange.active, host, request.headers)
        if not added:
            return request
        sent = request.copy()
        sent.headers.update(added)
    except Exception as error:
        exchanges.failed(error)
        return request
    return sent


def _follow(response: Any, exchange: Exchange) -> None:
    try:
        exchange.answered(response.status_code)
        raw = response.raw
        if raw is None or _is_over(raw):
            exchange.complete()
        else:
            response.raw = _Raw(raw, exchange)
    except Exception as error:
        exchanges.failed(error)


def _is_over(raw: Any) -> bool:
    """Whether the last byte came: urllib3 closes what it has read to its end."""
    return getattr(raw, "closed", False) is True


class _Raw(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # urllib3's response, or any file
    """What a response's body is read from."""

    def __init__(self, raw: Any, exchange: Exchange) -> None:
        super().__init__(raw)
        self._self_exchange = exchange

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name == "data" and _is_over(self.__wrapped__):
            self._self_exchange.complete()
        followed = _FOLLOWED.get(name)
        return value if followed is None else functools.partial(getattr(self, followed), value)

    def __iter__(self) -> Iterator[bytes]:
        return self._self_stream(self.__wrapped__.__iter__)

    def _self_read(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        exchange, since = self._self_exchange, clock.monotonic()
        try:
            data = read(*args, **kwargs)
        except BaseException as error:
            exchange.end(error, since)
            raise
        asked_for_nothing = 0 in (*args[:1], kwargs.get("amt"))
        if _is_over(self.__wrapped__) or not (data or asked_for_nothing):
            exchange.end(None, since)
        else:
            exchange.came()
        return data

    def _self_stream(
        self, stream: Callable[..., Iterator[bytes]], *args: Any, **kwargs: Any
    ) -> Iterator[bytes]:
        exchange, since = self._self_exchange, clock.monotonic()
        try:
            for chunk in stream(*args, **kwargs):
                exchange.take(chunk)
                if _is_over(self.__wrapped__):
                    exchange.complete()
                yield chunk
                since = clock.monotonic()
        except GeneratorExit:  # what reads it was dropped: the response may still be closed
            raise
        except BaseException as error:
            exchange.end(error, since)
            raise
        exchange.end(None, since)

    def _self_close(self, close: Callable[[], None]) -> None:
        try:
            close()
        finally:
            self._self_exchange.closed({})
