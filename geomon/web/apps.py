"""The endpoints as ASGI and WSGI applications, to be mounted anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from geomon.asgi.paths import below
from geomon.web import health
from geomon.web.metrics import payload

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

ASGI = Callable[[Any, Any, Any], Any]
WSGI = Callable[[Any, Any], Iterable[bytes]]

_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def metrics_app(registry: CollectorRegistry | None = None) -> ASGI:
    """An ASGI application that answers with the metrics, made in a thread.

    Args:
        registry: What is shown; None: that of `configure()`, merged over all workers.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if await _is_over(scope, receive, send):
            return
        asked = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        accept, encoding = asked.get(b"accept", ""), asked.get(b"accept-encoding", "")
        headers, body = await asyncio.to_thread(payload, registry, accept, encoding)
        await _send(scope, send, 200, headers, body)

    return app


def health_app() -> ASGI:
    """An ASGI application with the health report, and `/live` and `/ready` below it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if await _is_over(scope, receive, send):
            return
        path = below(scope.get("root_path", ""), scope["path"])
        found = await health.answer_async(path, scope)
        await _send(scope, send, found.status_code, health.HEADERS, health.body(found))

    return app


def metrics_wsgi(registry: CollectorRegistry | None = None) -> WSGI:
    """The same as `metrics_app`, for WSGI."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        asked = environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_ACCEPT_ENCODING", "")
        return _answered(environ, start_response, 200, *payload(registry, *asked))

    return _reading(app)


def health_wsgi() -> WSGI:
    """The same as `health_app`, for WSGI."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        found = health.answer(environ.get("PATH_INFO", ""), environ)
        return _answered(
            environ, start_response, found.status_code, health.HEADERS, health.body(found)
        )

    return _reading(app)


async def _is_over(scope: Any, receive: Any, send: Any) -> bool:
    """Whether it was a lifespan, or a request that does not only read."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return True
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1000})
        return True
    if scope["method"] in ("GET", "HEAD"):
        return False
    await _send(scope, send, 405, [("Allow", "GET, HEAD")], b"")
    return True


async def _send(
    scope: Any, send: Any, status: int, headers: Iterable[tuple[str, str]], body: bytes
) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _reading(app: WSGI) -> WSGI:
    def reading(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") in ("GET", "HEAD"):
            return app(environ, start_response)
        return _answered(environ, start_response, 405, [("Allow", "GET, HEAD")], b"")

    return reading


def _answered(
    environ: Any, start_response: Any, status: int, headers: Iterable[tuple[str, str]], body: bytes
) -> list[bytes]:
    start_response(f"{status} {_REASONS.get(status, 'Answer')}", list(headers))
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
