"""Who called a middleware: a server, or more of the program."""

from __future__ import annotations

import sys
from types import FrameType

_SERVERS = (
    "cheroot.",
    "granian.",
    "gunicorn.workers.",  # not its ASGI part, which logs no exception after an answer
    "hypercorn.app_wrappers",
    "mangum.",
    "uvicorn.middleware.message_logger",
    "uvicorn.middleware.proxy_headers",
    "uvicorn.protocols.",
    "waitress.",
    "werkzeug.serving",
    "wsgiref.",
)
_BETWEEN = ("fastapi.applications", "geomon.", "starlette.applications")


def is_server() -> bool:
    """Whether a server called us, so that what we raise goes to nobody who would answer it.

    A server in C, as uWSGI, shows no frame. Of a caller that is not known it is no: a middleware
    outside of ours may make an answer of its own from the exception.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _module(frame).startswith(_BETWEEN):
        frame = frame.f_back
    return frame is None or _module(frame).startswith(_SERVERS)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))
