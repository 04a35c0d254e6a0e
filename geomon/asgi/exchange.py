"""One request: what the server and the application say to each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from geomon import clock, context
from geomon.incoming import binding, callers, failures
from geomon.incoming.served import Served, back

if TYPE_CHECKING:
    from geomon.asgi.middleware import TrackingMiddleware

_bound = context.bound
_ERROR_BODY = b"Internal Server Error"
_ERROR_HEADERS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_ERROR_BODY)).encode()),
)


class Exchange(Served):
    """Stands between the server's `receive` and `send` and the application.

    The server is called with what is bound around the request: it may read the connection's next
    request in a copy of the context that it is called in.
    """

    __slots__ = (
        "_at",
        "_counts_bytes",
        "_in",
        "_left",
        "_middleware",
        "_out",
        "_outer",
        "_receive",
        "_scope",
        "_send",
        "_trailers",
    )

    def __init__(
        self,
        middleware: TrackingMiddleware,
        scope: Any,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self._at: float | None = None
        self._left = False
        self._trailers = False
        self._in = self._out = 0
        self._counts_bytes = middleware.options.sizes
        given_id, given_trace = given(scope, middleware.header)
        self._outer = outer = _bound.get()
        values = binding.values(middleware.options, scope, outer, given_id, given_trace)
        Served.__init__(self, scope.get("method"), values)  # super() costs every request 0.1 µs

    async def receive(self) -> Any:
        """The application asks for the next part of the request."""
        token = _bound.set(self._outer)
        try:
            message = await self._receive()
        finally:
            back(token)
        if message["type"] == "http.disconnect":
            self._left = self._left or self._at is None
        elif self._counts_bytes:
            self._in += _size(message)
        return message

    async def send(self, message: Any) -> None:
        """The application sends the next part of the response."""
        kind = message["type"]
        if kind == "http.response.start":  # when servers write their access line
            try:
                await self._send(self._start(message))
            except OSError:
                self._left = self._at is None
                raise
            return
        token = _bound.set(self._outer)
        try:
            await self._send(message)
        except OSError:  # ASGI's word for a client that has left
            self._left = self._at is None
            raise
        finally:
            try:  # noqa: SIM105 - a suppress() costs every request 0.3 µs
                _bound.reset(token)
            except (ValueError, RuntimeError):  # closed in another context, or twice
                pass
        if kind == "http.response.body":
            if self._counts_bytes:
                self._out += _size(message)
            if not (self._trailers or message.get("more_body")):
                self._last_byte()
        else:
            self._sent_otherwise(kind, message)

    def _start(self, message: Any) -> Any:
        if self.status is not None:  # a second one, which the server refuses
            return message
        status = message.get("status")
        if type(status) is not int:
            status = int(status) if isinstance(status, int) else 500
        self.status = status
        self._trailers = message.get("trailers", False)
        name = self._middleware.header
        if name is None:
            return message
        try:
            headers = [*message.get("headers", ())]
            for header in headers:
                if header[0].lower() == name:  # the application's own
                    break
            else:
                headers.append((name, self.call.context["request_id"].encode()))
            return {**message, "headers": headers}
        except (TypeError, ValueError, AttributeError):  # malformed: the server will say so
            return message

    def _sent_otherwise(self, kind: str, message: Any) -> None:
        if kind == "http.response.trailers":
            if not message.get("more_trailers"):
                self._last_byte()
        elif kind == "http.response.pathsend" or (
            kind == "http.response.zerocopysend" and not message.get("more_body")
        ):
            self._last_byte()

    def _last_byte(self) -> None:
        if self._at is None and self.status is not None:
            self._at = clock.monotonic()
            if self.status < 500:
                self._end()
            # else an exception may follow: Starlette answers, and raises it on

    def _end(self, error: BaseException | None = None) -> None:
        endpoint = self._middleware.endpoint(self._scope, self.status)
        if self._counts_bytes:
            self.sizes = self._in, self._out
        self.end(endpoint, error, self._at, self._left)

    def returned(self) -> None:
        """The application is done before the call; what it left out the server makes a 500."""
        if self._at is None:
            self.status = 500
        self._end()

    async def failed(self, error: BaseException) -> None:
        """The application raised."""
        if failures.is_stop(error):
            self._left = self._at is None
        elif not (self._left and isinstance(error, OSError)):
            failures.log(error, self.method, self._middleware.endpoint(self._scope, 500))
            if self.status is None and not self._left and callers.is_server():
                await self._answer()
            elif self._at is None:
                self.status = 500  # what was sent is not whole
        if not self.ended:
            self._end(error)

    async def _answer(self) -> None:
        with suppress(Exception):  # the application's own exception is the one to raise
            await self.send(
                {"type": "http.response.start", "status": 500, "headers": [*_ERROR_HEADERS]}
            )
            await self.send({"type": "http.response.body", "body": _ERROR_BODY})


def _size(message: Any) -> int:
    body = message.get("body", b"")
    return len(body) if isinstance(body, bytes | bytearray | memoryview) else 0


def given(scope: Any, id_header: bytes | None) -> tuple[str | None, str | None]:
    """What the headers say: the first request id; the trace, unless several are named."""
    given_id = given_trace = None
    try:
        for name, value in scope.get("headers", ()):
            if name == id_header and given_id is None:
                given_id = value.decode("latin-1")
            elif name == b"traceparent":
                given_trace = value.decode("latin-1") if given_trace is None else ""
    except Exception:  # malformed: the application will see for itself
        return None, None
    return given_id, given_trace
