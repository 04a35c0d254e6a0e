"""What is bound while a request is served."""

from __future__ import annotations

from typing import Any

from geomon import context, losses
from geomon.incoming import ids, traceparent
from geomon.incoming.options import Options


def values(
    options: Options,
    source: Any,
    outer: context.Bound,
    given_id: str | None,
    given_trace: str | None,
) -> context.Bound:
    """What to bind: `request_id`; where they are known `trace_id`, `span_id` and `user_id`.

    Also `trace_flags`, where the trace is not sampled. The id is the client's, where it is trusted
    and well-formed; else that of the trace; else new.

    Args:
        options: The middleware's.
        source: The ASGI scope or WSGI environ, which `user_id` reads.
        outer: What is bound around the request.
        given_id: What the request id's header says.
        given_trace: What `traceparent` says.
    """
    bound: dict[str, Any] = {**outer} if outer else {}
    trace = None
    if isinstance(given_trace, str) and options.trust_traceparent:
        trace = traceparent.parse(given_trace)
    if isinstance(given_id, str) and options.trust_request_id and ids.is_well_formed(given_id):
        bound["request_id"] = given_id
    else:
        bound["request_id"] = ids.new_request_id() if trace is None else trace.trace_id
    if trace is not None:
        bound["trace_id"], bound["span_id"] = trace[:2]
        if trace.flags != "01":
            bound["trace_flags"] = trace.flags
    if options.user_id is not None:
        _add_user(options.user_id, source, bound)
    return context.Bound(bound)


def _add_user(read: Any, source: Any, bound: dict[str, Any]) -> None:
    try:
        user_id = read(source)
    except Exception as error:
        losses.failed("requests", "user_id_failed", error, "user_id of a middleware")
    else:
        if user_id is not None:
            bound["user_id"] = user_id
