"""One request that is being served: its call, and what is bound meanwhile."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from geomon import clock, context, losses
from geomon.sinks.labels import METHODS, OTHER, UNKNOWN
from geomon.tracking import served
from geomon.tracking.chain import leave

MARK = "geomon.request"
"""The key of an ASGI scope or WSGI environ that says: this request is counted already."""
ENDPOINT = "geomon.endpoint"
"""The key under which a framework's part says which route template answers."""
UNMATCHED = "unmatched"
"""The endpoint of requests that no route takes."""
DISCONNECTED = 499
"""The status of a request whose client left before the end, as nginx has it."""

_bound = context.bound
_current = context.current_call
_names = {method: method for method in METHODS}


class Served:
    """Begins the call of a request and binds its context; in `end` and `leave` they end.

    Args:
        method: As the client wrote it; what the standards do not know counts as `other`.
        values: What to bind.
    """

    __slots__ = ("_bound_token", "_call_token", "call", "ended", "method", "sizes", "status")

    def __init__(self, method: Any, values: context.Bound) -> None:
        self.method = _names.get(method, OTHER) if type(method) is str else OTHER
        self._bound_token = _bound.set(values)
        self.call = served.begin(self.method)
        self._call_token = _current.set(self.call)
        self.status: int | None = None
        """The status code that was sent; None until then."""
        self.ended = False
        self.sizes: tuple[int | None, int | None] | None = None
        """Bytes of the bodies of request and response, where they are to be counted."""

    def end(
        self,
        endpoint: str,
        error: BaseException | None = None,
        at: float | None = None,
        left: bool = False,
    ) -> None:
        """Ends the call, once.

        Args:
            endpoint: The route template.
            error: What came out of the application.
            at: When it was over, on the monotonic clock; now.
            left: Whether the client left before the end.
        """
        if self.ended:
            return
        self.ended = True
        status = DISCONNECTED if left else self.status
        if at is None:
            at = clock.monotonic()
        served.end(self.call, endpoint, status, error, at, self.sizes)

    def leave(self) -> None:
        """Takes back what was bound."""
        leave(self.call, self._call_token)
        try:  # noqa: SIM105 - a suppress() costs every request 0.3 µs
            _bound.reset(self._bound_token)
        except (ValueError, RuntimeError):  # closed in another context, or twice
            pass


def back(token: Token[context.Bound]) -> None:
    """Makes bound again what was so before."""
    try:  # noqa: SIM105 - a suppress() costs every request 0.3 µs
        _bound.reset(token)
    except ValueError:  # closed in another context
        pass


def unreadable(error: Exception) -> str:
    """The endpoint of a request whose route template raises."""
    losses.failed("requests", "endpoint_failed", error, "the route template of a request")
    return UNKNOWN
