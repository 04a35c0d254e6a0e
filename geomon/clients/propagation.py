"""Hands request id and W3C trace on, to hosts that are on the program's allow list."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Container, Mapping
from typing import Any

from geomon.clients.options import Options
from geomon.tracking import ActiveCall

REQUEST_ID, TRACEPARENT = "X-Request-ID", "traceparent"

_random = random.Random()  # not the module's own, which programs seed
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_HEX = re.compile(r"[0-9a-f]{2}")
_FLAGS = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")


def headers(
    options: Options, active: ActiveCall, host: str, present: Container[str]
) -> dict[str, str]:
    """The headers to add to a request; none for a host that is not on the list.

    What the program set itself (`present`) is left alone.
    """
    if not options.propagate or host not in options.propagate:
        return {}
    added, bound = {}, active.context
    request_id = _well_formed(_ID, bound.get("request_id"))
    if request_id is not None and REQUEST_ID not in present:
        added[REQUEST_ID] = request_id
    trace_id = _well_formed(_TRACE_ID, bound.get("trace_id"))
    if trace_id is not None and TRACEPARENT not in present:
        span_id = f"{_random.getrandbits(64) or 1:016x}"
        active.in_trace(trace_id, span_id)
        added[TRACEPARENT] = f"00-{trace_id}-{span_id}-{_flags(bound, trace_id)}"
    return added


def _well_formed(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if type(value) is str and pattern.fullmatch(value) is not None else None


def _flags(bound: Mapping[str, Any], trace_id: str) -> str:
    """The flags that came in with the trace; sampled, where nobody said otherwise."""
    flags = _well_formed(_HEX, bound.get("trace_flags"))
    if flags is not None and bound.get("trace_id") == trace_id:
        return flags
    came = bound.get("traceparent")
    found = _FLAGS.fullmatch(came) if type(came) is str else None
    return found[2] if found is not None and found[1] == trace_id else "01"
