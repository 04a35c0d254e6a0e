"""The trace that a record belongs to."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from geomon.logs.interrupts import from_signal

Trace = tuple[str, str]
"""Trace id and span id, in hexadecimal digits."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-.*")


def current_span() -> Trace | None:
    """The ids of OpenTelemetry's current span, where OpenTelemetry was imported."""
    module = sys.modules.get("opentelemetry.trace")
    if module is None:
        return None
    try:
        span = module.get_current_span().get_span_context()
        return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None
    except BaseException as error:
        if from_signal(error):
            raise
        return None


def from_traceparent(context: Mapping[str, Any]) -> Trace | None:
    """The ids of a bound W3C `traceparent`, where it is well-formed."""
    header = context.get("traceparent")
    found = _TRACEPARENT.fullmatch(header) if type(header) is str else None
    return (found[1], found[2]) if found else None
