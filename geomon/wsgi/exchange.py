"""One request: what the server and the application say to each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from geomon import clock, context
from geomon.incoming import binding, callers, failures
from geomon.incoming.served import Served
from geomon.wsgi import rules
from geomon.wsgi.bodies import Body, SizedBody

if TYPE_CHECKING:
    from geomon.wsgi.middleware import TrackingMiddleware

_ERROR_BODY = b"Internal Server Error"
_NO_BODY = (204, 304)

_open: ContextVar[Exchange | None] = ContextVar("geomon.wsgi", default=None)


def leave_earlier() -> None:
    """Ends the request before in this thread, whose response the server never closed.

    Not one that is being answered just now, and asks another application for its part.
    """
    earlier = _open.get()
    if earlier is not None and not earlier.running:
        earlier.close()


class Exchange(Served):
    """Stands between the server and the application."""

    __slots__ = (
        "_at",
        "_environ",
        "_length",
        "_middleware",
        "_root",
        "_sent",
        "_start_response",
        "_token",
        "running",
    )

    def __init__(
        self, middleware: TrackingMiddleware, environ: Any, start_response: Callable[..., Any]
    ) -> None:
        self._middleware = middleware
        self._environ = environ
        self._start_response = start_response
        self._root = environ.get("SCRIPT_NAME", "")
        self._length: int | None = None
        self._sent = 0
        self._at: float | None = None
        self.running = True
        """Whether the application's code runs now."""
        given_id = environ.get(middleware.id_key)
        given_trace = environ.get("HTTP_TRACEPARENT")
        outer = context.bound.get()
        values = binding.values(middleware.options, environ, outer, given_id, given_trace)
        super().__init__(environ.get("REQUEST_METHOD"), values)
        self._token = _open.set(self)

    # --- the response begins

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """The application says how it answers; again, with `exc_info`, when it failed since."""
        self.status, self._length = _code(status), None
        rules.note(self._environ, self._root)
        headers = self._with_id(headers)
        if exc_info is None:
            write = self._start_response(status, headers)
        else:
            write = self._start_response(status, headers, exc_info)
        return self._counting(write) if callable(write) else write

    def _with_id(self, headers: Any) -> Any:
        name = self._middleware.options.request_id_header
        wanted = None if name is None else name.lower()
        try:
            for key, value in headers:
                key = key.lower()
                if key == wanted:  # the application's own
                    wanted = None
                elif key == "content-length":
                    self._length = int(value)
            if wanted is not None:
                return [*headers, (name, self.call.context["request_id"])]
        except Exception:  # malformed: the server will say so
            pass
        return headers

    def _counting(self, write: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        def counted(data: bytes) -> Any:
            self.passed(data)
            return write(data)

        return counted

    # --- the body

    def follow(self, body: Any) -> Any:
        """The body for the server: at its end the call ends, and when closed the context."""
        self.running = False
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            return self._follow_file(body)
        if not hasattr(body, "__iter__"):  # uWSGI's file, or a mistake that the server will tell
            self.exhausted()
            self.leave()
            return body
        return SizedBody(self, body) if hasattr(body, "__len__") else Body(self, body)

    def _follow_file(self, body: Any) -> Any:
        """A file that the server may send without reading it here: it must stay what it is."""
        close = getattr(body, "close", None)

        def closed() -> None:
            try:
                if close is not None:
                    close()
            finally:
                self.exhausted()
                self.close()

        body.close = closed
        return body

    def passed(self, data: Any) -> None:
        """The application gave a part of the body."""
        with suppress(TypeError):  # no bytes: the server will say so
            self._sent += len(data)
        self._at = clock.monotonic()

    def exhausted(self) -> None:
        """The body is over."""
        if not self.ended:
            self._end(500 if self.status is None else self.status)

    def failed(self, error: BaseException) -> None:
        """The application raised."""
        if not self.ended:
            at = clock.monotonic()
            unanswered = self.status is None
            failures.log(error, self.method, self._endpoint(500))
            if unanswered and isinstance(error, Exception) and callers.is_server():
                self._answer()
            self._end(500, error, at)
        else:
            failures.log(error, self.method, self._endpoint(self.status))

    def _answer(self) -> None:
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_ERROR_BODY))),
        ]
        try:
            write = self.start_response("500 Internal Server Error", headers, sys.exc_info())
            write(_ERROR_BODY)  # at once: the exception goes on to the server
        except Exception:  # the application's own exception is the one to raise
            return

    def close(self) -> None:
        """The server is done with the response."""
        if not self.ended:
            self._end(self.status if self._is_whole() else None, None, self._at)
        self.leave()

    def _is_whole(self) -> bool:
        """Whether a body that was not read to its end had no more to say."""
        if self.method == "HEAD" or self.status in _NO_BODY:
            return True
        return self._length is not None and self._sent >= self._length

    def _end(
        self, status: int | None, error: BaseException | None = None, at: float | None = None
    ) -> None:
        """Ends the call; without a status the client left."""
        left, self.status = status is None, status
        if self._middleware.options.sizes:
            self.sizes = _declared(self._environ.get("CONTENT_LENGTH")), self._sent
        self.end(self._endpoint(status), error, at, left)

    def _endpoint(self, status: int | None) -> str:
        return self._middleware.endpoint(self._environ, self._root, status)

    def leave(self) -> None:
        """Takes back what was bound."""
        super().leave()
        with suppress(ValueError, RuntimeError):  # closed in another context, or twice
            _open.reset(self._token)


def _declared(length: Any) -> int:
    """The size of a request's body, by its header; 0 where that says nothing that can be."""
    plain = isinstance(length, str) and length.isascii() and length.isdigit() and len(length) < 16
    return int(length) if plain else 0


def _code(status: Any) -> int:
    """The code of `200 OK`."""
    try:
        return int(status[:3])
    except (TypeError, ValueError):
        return 500
