"""The primitive behind every decorator, with-block, middleware and client wrapper."""

from geomon.tracking.active import ActiveCall, drain
from geomon.tracking.current import current_call, meter, record
from geomon.tracking.meter import Meter
from geomon.tracking.trackers import Tracker, track_ai, track_client, track_request

__all__ = [
    "ActiveCall",
    "Meter",
    "Tracker",
    "current_call",
    "drain",
    "meter",
    "record",
    "track_ai",
    "track_client",
    "track_request",
]
