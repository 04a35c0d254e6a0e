"""geomon tracks a program's AI and HTTP calls from inside.

    @geomon.track_ai("summarize", model="gpt-4o")
    async def summarize(text): ...

Each call is timed, counted for Prometheus, priced, and written as one log record that carries the
request and user ids. Nothing else needs to run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from geomon.call import Attempt, Call, Code, Usage
from geomon.context import bind, carry, get_context
from geomon.instrumentation import Instrumentation, instrument, uninstrument
from geomon.runtime import Handle, configure
from geomon.settings import Buckets
from geomon.tracking import (
    ActiveCall,
    Meter,
    current_call,
    meter,
    record,
    track_ai,
    track_request,
)
from geomon.version import __version__

if TYPE_CHECKING:
    from geomon import alerts, asgi, frameworks, health, logs, testing, web, wsgi
    from geomon.web import serve

__all__ = [
    "ActiveCall",
    "Attempt",
    "Buckets",
    "Call",
    "Code",
    "Handle",
    "Instrumentation",
    "Meter",
    "Usage",
    "__version__",
    "alerts",
    "asgi",
    "bind",
    "carry",
    "configure",
    "current_call",
    "frameworks",
    "get_context",
    "health",
    "instrument",
    "logs",
    "meter",
    "record",
    "serve",
    "testing",
    "track_ai",
    "track_request",
    "uninstrument",
    "web",
    "wsgi",
]

_MODULES = ("alerts", "asgi", "frameworks", "health", "logs", "testing", "web", "wsgi")


def __getattr__(name: str) -> Any:
    """Imports the larger parts when they are first used."""
    if name == "serve":
        from geomon.web import serve

        return serve
    if name not in _MODULES:
        raise AttributeError(f"module 'geomon' has no attribute {name!r}")
    return importlib.import_module(f"geomon.{name}")
