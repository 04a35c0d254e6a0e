"""The calls of middlewares: endpoint and status of a request are known when it ends."""

from __future__ import annotations

from functools import lru_cache

from geomon import errors
from geomon.tracking import current
from geomon.tracking.active import ActiveCall, Spec
from geomon.tracking.active import end as _end


@lru_cache(maxsize=4096)
def _spec(method: str, endpoint: str | None) -> Spec:
    return Spec("request", method=method, endpoint=endpoint, answered=endpoint is not None)


def begin(method: str) -> ActiveCall:
    """A new open call of a request that is served; not yet the current one."""
    return current.begin(_spec(method, None))


def end(
    active: ActiveCall,
    endpoint: str,
    status: int | None,
    error: BaseException | None,
    at: float,
    sizes: tuple[int | None, int | None] | None = None,
) -> None:
    """Ends the call at `at` seconds, monotonic.

    Args:
        active: What `begin` gave.
        endpoint: The route template.
        status: The status code that was sent, whatever was raised; None: no response came. 499
            says that the client left.
        error: What came out of the application.
        at: When it was over.
        sizes: Bytes of the bodies of request and response, where they were counted.
    """
    if sizes is not None:
        active._note().sizes = sizes
    active._spec = _spec(active._spec.method or "", endpoint)
    active.status = status = 500 if status is None else status
    if status == 499:
        _end(active, "cancelled", error, at, "cancelled")
    elif error is not None:
        _end(active, "error", error, at, errors.classify(error))
    elif status < 500:
        _end(active, "ok", None, at)
    else:
        _end(active, "error", None, at, "server_error")
