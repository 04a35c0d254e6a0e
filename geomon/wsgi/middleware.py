"""The WSGI middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from geomon import dispatch
from geomon.incoming.options import Options, Read
from geomon.incoming.served import MARK
from geomon.wsgi.exchange import Exchange, leave_earlier
from geomon.wsgi.rules import Rules

Environ = MutableMapping[str, Any]
App = Callable[[Any, Any], Iterable[bytes]]


class TrackingMiddleware:
    """Wraps a WSGI application; put it outermost.

    A request counts under its route template, from its start to its last byte. An exception that
    the application does not handle is logged once, with the request's context, and raised on; where
    no response has begun and a server called us, a plain 500 is sent first. Inside of another
    middleware the answer is left to that, and has no request id; it counts as 500 whatever it is.

    Args:
        app: The application. Flask's rules are found by themselves.
        request_id_header: The header that brings the request id and takes it back; None: neither.
        trust_request_id: Whether a well-formed id of the client's is taken over.
        trust_traceparent: Whether the client's `traceparent` is.
        user_id: Takes the environ and gives the user's id, or None; called when the request begins.
        endpoint: Takes the environ and gives the route template, for other frameworks; called when
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
        self.id_key = None
        if request_id_header is not None:
            self.id_key = "HTTP_" + request_id_header.upper().replace("-", "_")
        self.endpoint = Rules(app, endpoint).of
        """Gives the route template of an environ that was answered with a status."""

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        """Serves one request."""
        if MARK in environ or dispatch.disabled or self._excludes(environ):
            return self.app(environ, start_response)
        leave_earlier()
        environ[MARK] = True
        exchange = Exchange(self, environ, start_response)
        try:
            body = self.app(environ, exchange.start_response)
        except BaseException as error:
            exchange.failed(error)
            exchange.leave()
            raise
        return exchange.follow(body)

    def _excludes(self, environ: Environ) -> bool:
        is_excluded = self.options.is_excluded
        if is_excluded is None:
            return False
        return bool(is_excluded(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")))
