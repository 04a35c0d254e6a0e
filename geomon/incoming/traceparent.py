"""The `traceparent` header, as W3C's Trace Context (level 1 and 2) defines it."""

from __future__ import annotations

import re
from typing import NamedTuple

_match = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.DOTALL,
).fullmatch


class Trace(NamedTuple):
    """Where in a trace a request was sent."""

    trace_id: str
    """32 lowercase hex digits."""
    span_id: str
    """The sender's span: 16 lowercase hex digits."""
    flags: str
    """2 lowercase hex digits; `01`: sampled."""


def parse(text: str) -> Trace | None:
    """The trace that a header's value names; None where the value is not valid.

    A later version than 00 may go on after the flags, with a dash.
    """
    found = _match(text)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    return None if rest is not None and version == "00" else Trace(trace_id, span_id, flags)
