"""Proxies that finish a call when its stream ends: generators, clients' streams, awaitables.

A proxy keeps what the stream was: attributes, `isinstance`, `send`, `throw`, `close`, `with`, the
return value. The call is the current one only inside each step; what the consumer does between two
items is not its child, and a close from another task or thread finds nothing to reset.
"""

from geomon.streams.awaited import awaited
from geomon.streams.course import Closed, Course
from geomon.streams.following import follow, follow_within, is_stream, is_tracked, proxy_for

__all__ = [
    "Closed",
    "Course",
    "awaited",
    "follow",
    "follow_within",
    "is_stream",
    "is_tracked",
    "proxy_for",
]
