"""An exception that nobody handled is logged once: by us, with the request's context.

A server logs it too, after the middleware has taken the context back. So what we have logged to a
handler is marked, and a filter on the servers' loggers drops its second record.
"""

from __future__ import annotations

import asyncio
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


def is_stop(error: BaseException) -> bool:
    """Whether a request ends from outside: its task is cancelled, or its coroutine dropped.

    Not where the application awaits something else that was cancelled: that it should handle.
    """
    if not isinstance(error, asyncio.CancelledError):
        return isinstance(error, GeneratorExit) or type(error).__name__ == "Cancelled"  # trio's
    try:
        task = asyncio.current_task()
    except RuntimeError:  # in a thread
        return True
    return task is None or task.cancelling() > 0


def log(error: BaseException, method: str, endpoint: str) -> None:
    """Logs an exception that the application did not handle, if a handler is there to hear it."""
    if not _is_heard():
        return
    trace = (type(error), error, error.__traceback__)
    with suppress(Exception):  # the program's own logging may fail
        _log.error("unhandled exception in %s %s", method, endpoint, exc_info=trace)
        vars(error)[_MARK] = True  # also where its class refuses attributes
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
    return error is None or not vars(error).pop(_MARK, False)  # raised again, it is news again
