"""Django: the handler that a server calls, or an entry of `MIDDLEWARE`; both count once.

    MIDDLEWARE = ["geomon.frameworks.django.TrackingMiddleware", ...]   # first
    application = geomon.instrument(get_asgi_application())             # or get_wsgi_application()

The entry takes its options from the setting `GEOMON = {"user_id": ..., "exclude": [...]}`; what
reads a request there takes Django's `HttpRequest`. Django itself logs what a view raises, inside of
the request's context, so that nothing is logged twice. Alone the entry binds the context up to the
response, not while a streaming one runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.urls import Resolver404, resolve

from geomon import asgi, context, dispatch, wsgi
from geomon.frameworks.added import Added
from geomon.incoming import binding, failures
from geomon.incoming.options import Options
from geomon.incoming.served import ENDPOINT, MARK, UNMATCHED, Served, unreadable

_HANDLER_MARK = "_geomon_instrumented"


def instrument(handler: Any, added: Added, options: dict[str, Any]) -> Any:
    """Wraps a handler, and has it say which route it chose."""
    is_asgi = iscoroutinefunction(type(handler).__call__)
    middleware: Any = asgi if is_asgi else wsgi
    wrapped = middleware.TrackingMiddleware(handler, **options)
    if not getattr(handler, _HANDLER_MARK, False):
        setattr(handler, _HANDLER_MARK, True)
        _tell_routes(handler)
    return added.asgi(wrapped) if is_asgi else added.wsgi(wrapped)


def _tell_routes(handler: Any) -> None:
    """Writes the route down where our middlewares look; Django's own names stay what they are."""
    get_response, get_response_async = handler.get_response, handler.get_response_async

    def told(request: Any) -> Any:
        status = None
        try:
            response = get_response(request)
            status = response.status_code
            return response
        finally:
            _tell(request, status)

    async def told_async(request: Any) -> Any:
        status = None
        try:
            response = await get_response_async(request)
            status = response.status_code
            return response
        finally:
            _tell(request, status)

    handler.get_response, handler.get_response_async = told, told_async


def _tell(request: Any, status: int | None) -> None:
    _holder(request)[ENDPOINT] = _endpoint(request, status)


def _holder(request: Any) -> Any:
    """The scope or environ of a request, which our middlewares read."""
    return getattr(request, "scope", None) or request.META


def _endpoint(request: Any, status: int | None) -> str:
    """The template, nested includes in one: `/api/items/<int:pk>/`."""
    try:
        match = request.resolver_match
        if match is None and status != 404:
            match = _unresolved(request, status)
        return UNMATCHED if match is None else "/" + match.route.lstrip("/^")
    except Exception as error:
        return unreadable(error)


def _unresolved(request: Any, status: int | None) -> Any:
    """The route of a request that a middleware answered, or sent on to a slash at its end."""
    redirected = status is not None and 300 <= status < 400
    for end in ("", "/") if redirected else ("",):
        try:
            return resolve(request.path_info + end, getattr(request, "urlconf", None))
        except Resolver404:
            continue
    return None


class TrackingMiddleware:
    """The entry of `MIDDLEWARE`; put it first. It serves sync and async.

    Args:
        get_response: What Django puts behind it.

    Raises:
        TypeError: an option of the setting `GEOMON` is unknown or has the wrong type.
        ValueError: an option has a value that cannot be.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self.options = Options(**getattr(settings, "GEOMON", {}))
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Serves one request."""
        if iscoroutinefunction(self):
            return self._serve_async(request)
        if self._passes(request):
            return self.get_response(request)
        served = self._begin(request)
        try:
            return self._answered(served, request, self.get_response(request))
        except BaseException as error:
            self._end(served, request, error)
            raise
        finally:
            served.leave()

    async def _serve_async(self, request: Any) -> Any:
        if self._passes(request):
            return await self.get_response(request)
        served = self._begin(request)
        try:
            return self._answered(served, request, await self.get_response(request))
        except BaseException as error:
            self._end(served, request, error)
            raise
        finally:
            served.leave()

    def process_exception(self, request: Any, error: Exception) -> None:
        """Takes note of what a view raised, which becomes a response before it gets here."""
        request.geomon_error = error

    def _passes(self, request: Any) -> bool:
        is_excluded = self.options.is_excluded
        return (
            MARK in _holder(request)
            or dispatch.disabled
            or (is_excluded is not None and bool(is_excluded(request.path)))
        )

    def _begin(self, request: Any) -> Served:
        _holder(request)[MARK] = True
        name = self.options.request_id_header
        given = None if name is None else request.headers.get(name)
        trace = request.headers.get("traceparent")
        outer = context.bound.get()
        return Served(request.method, binding.values(self.options, request, outer, given, trace))

    def _answered(self, served: Served, request: Any, response: Any) -> Any:
        served.status = response.status_code
        name = self.options.request_id_header
        if name is not None and name not in response:
            response[name] = served.call.context["request_id"]
        if getattr(response, "streaming", False):
            _follow(response, request, Streaming(served, _endpoint(request, served.status)))
        else:
            error = vars(request).pop("geomon_error", None)
            self._end(served, request, error if response.status_code >= 500 else None)
        return response

    def _end(self, served: Served, request: Any, error: BaseException | None) -> None:
        left = error is not None and failures.is_stop(error)
        served.end(_endpoint(request, served.status), error, left=left)


class Streaming:
    """The end of a response that streams: at its last part, or when it is closed or dropped."""

    def __init__(self, served: Served, endpoint: str) -> None:
        self._served = served
        self._endpoint = endpoint

    def end(self, error: BaseException | None = None) -> None:
        """Ends the call, once; with what came out of the stream before its last part."""
        served = self._served
        if error is not None and not failures.is_stop(error):
            served.status = 500  # what was sent is not whole
            served.end(self._endpoint, error)
        else:
            served.end(self._endpoint, error, left=error is not None and served.method != "HEAD")

    def __del__(self) -> None:
        self.end(GeneratorExit())


def _follow(response: Any, request: Any, streaming: Streaming) -> None:
    is_file = getattr(response, "file_to_stream", None) is not None
    if not (is_file and "wsgi.file_wrapper" in request.META):  # which the server sends by itself
        follow = _parts_async if response.is_async else _parts
        response.streaming_content = follow(response.streaming_content, streaming)
    response._resource_closers.append(streaming.end)  # a close of our own would make a cycle


def _parts(parts: Iterable[bytes], streaming: Streaming) -> Iterator[bytes]:
    try:
        yield from parts
    except BaseException as error:
        streaming.end(error)
        raise
    streaming.end()


async def _parts_async(parts: AsyncIterable[bytes], streaming: Streaming) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part
    except BaseException as error:
        streaming.end(error)
        raise
    streaming.end()
