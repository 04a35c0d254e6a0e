"""The ASGI middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from geomon import context, dispatch
from geomon.asgi.exchange import Exchange, given
from geomon.asgi.templates import Templates
from geomon.incoming import binding, failures
from geomon.incoming.options import Options, Read
from geomon.incoming.served import MARK

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_bound = context.bound


class TrackingMiddleware:
    """Wraps an ASGI application; put it outermost.

    A request counts under its route template, from its start to its last byte. An exception that
    the application does not handle is logged once, with the request's context, and raised on; where
    no response has begun and a server called us, a plain 500 is sent first. Inside of another
    middleware, Starlette's own included, the answer is left to that, and has no request id; it
    counts as 500 whatever it is. WebSockets get the context, and are not counted.

    Args:
        app: The application. Route templates of Starlette and FastAPI are found by themselves.
        request_id_header: The header that brings the request id and takes it back; None: neither.
        trust_request_id: Whether a well-formed id of the client's is taken over.
        trust_traceparent: Whether the client's `traceparent` is.
        user_id: Takes the scope and gives the user's id, or None; called when the request begins.
        endpoint: Takes the scope and gives the route template, for other frameworks; called when
            the request ends.
        exclude: Regular expressions; a request whose whole path is one of them passes untouched.
        sizes: Whether `http_request_size_bytes` and `http_response_size_bytes` are counted too.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: an option has a value that cannot be.
    """

    def __init__(
        self,
        app: App,
        *,
        request_id_header: str | None = "X-Request-ID",
        trust_request_id: bool = True,
        trust_traceparent: bool = True,
        user_id: Read | None = None,
        endpoint: Read | None = None,
        exclude: Iterable[str] = (),
        sizes: bool = False,
    ) -> None:
        self.app = app
        self.options = Options(
            request_id_header,
            trust_request_id,
            trust_traceparent,
            user_id,
            endpoint,
            exclude,
            sizes,
        )
        self._is_excluded = self.options.is_excluded
        self.header = None if request_id_header is None else request_id_header.lower().encode()
        self.endpoint = Templates(app, endpoint).of
        """Gives the route template of a scope that was answered with a status."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, WebSocket or lifespan."""
        kind = scope["type"]
        if (
            (kind != "http" and kind != "websocket")
            or MARK in scope
            or dispatch.disabled
            or (self._is_excluded is not None and self._is_excluded(scope["path"]))
        ):
            await self.app(scope, receive, send)
            return
        scope[MARK] = True
        if kind == "websocket":
            await self._connect(scope, receive, send)
            return
        exchange = Exchange(self, scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            await exchange.failed(error)
            raise
        else:
            if not exchange.ended:
                exchange.returned()
        finally:
            exchange.leave()

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = given(scope, self.header)
        token = _bound.set(binding.values(self.options, scope, _bound.get(), *told))
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            failures.log(error, "WEBSOCKET", self.endpoint(scope, None))
            raise
        finally:
            with suppress(ValueError):  # closed in another context
                _bound.reset(token)
