"""Django: the handler that a server calls, or an entry of `MIDDLEWARE`; both count once.

    MIDDLEWARE = ["geomon.frameworks.django.TrackingMiddleware", ...]   # first
    application = geomon.instrument(get_asgi_application())             # or get_wsgi_application()

The entry takes its options from the setting `GEOMON = {"user_id": ..., "exclude": [...]}`; what
reads a request there takes Django's `HttpRequest`. Django itself logs what a view raises, inside of
the request's context, so that nothing is logged twice. Alone the entry binds the context up to the
response, not while a streaming one runs, and counts that as whole when it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.urls import Resolver404, resolve

from geomon import asgi, dispatch, wsgi
from geomon.frameworks.added import Added
from geomon.incoming import binding
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
        if match is None and status is not None and 300 <= status < 400:
            match = _redirected(request)
        return UNMATCHED if match is None else "/" + match.route.lstrip("/^")
    except Exception as error:
        return unreadable(error)


def _redirected(request: Any) -> Any:
    """The route that CommonMiddleware sends to, with a slash at the end."""
    for path in (request.path_info, f"{request.path_info}/"):
        try:
            return resolve(path, getattr(request, "urlconf", None))
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
        return Served(request.method, binding.values(self.options, request, given, trace))

    def _answered(self, served: Served, request: Any, response: Any) -> Any:
        served.status = response.status_code
        name = self.options.request_id_header
        if name is not None and name not in response:
            response[name] = served.call.context["request_id"]
        if getattr(response, "streaming", False):
            self._end_when_closed(served, request, response)
        else:
            error = vars(request).pop("geomon_error", None)
            self._end(served, request, error if response.status_code >= 500 else None)
        return response

    def _end_when_closed(self, served: Served, request: Any, response: Any) -> None:
        close = response.close  # to stand in for the content would keep servers from sendfile

        def closed() -> None:
            try:
                close()
            finally:
                self._end(served, request, None)

        response.close = closed

    def _end(self, served: Served, request: Any, error: BaseException | None) -> None:
        left = isinstance(error, asyncio.CancelledError)
        served.end(_endpoint(request, served.status), error, left=left)
