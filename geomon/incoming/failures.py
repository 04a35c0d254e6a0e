"""An exception that nobody handled is logged once: by us, with the request's context.

A server logs it too, after the middleware has taken the context back. So what we have logged to a
handler is marked, and a filter on the servers' loggers drops its second record.
"""

from __future__ import annotations

import logging
from contextlib import suppress

_log = logging.getLogger("geomon.http")
_SERVERS = (
    "uvicorn.error",
    "gunicorn.error",
    "hypercorn.error",
    "daphne.server",
    "waitress",
)
_MARK = "_geomon_logged"


def log(error: BaseException, method: str, endpoint: str) -> None:
    """Logs an exception that the application did not handle, if a handler is there to hear it."""
    if not isinstance(error, Exception) or not _is_heard():
        return
    trace = (type(error), error, error.__traceback__)
    with suppress(Exception):  # the program's own logging may fail
        _log.error("unhandled exception in %s %s", method, endpoint, exc_info=trace)
        setattr(error, _MARK, True)
        for name in _SERVERS:
            logging.getLogger(name).addFilter(_is_news)  # adds it once


def _is_heard() -> bool:
    logger: logging.Logger | None = _log
    if not _log.isEnabledFor(logging.ERROR):
        return False
    while logger is not None:
        for handler in logger.handlers:
            if not isinstance(handler, logging.NullHandler) and handler.level <= logging.ERROR:
                return True
        logger = logger.parent if logger.propagate else None
    return False


def _is_news(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if error is None or not getattr(error, _MARK, False):
        return True
    setattr(error, _MARK, False)  # raised again, it is news again
    return False
