"""Records carry what is bound where they are made, whatever handler has them first.

The program's own handlers may keep a record and hand it on at another time or in another thread, as
`MemoryHandler` and `QueueHandler` do. So the factory of `logging` puts the context on each record,
under private names, and calls the factory that stood before it. A record that does not come from
there (made by `logging.LogRecord` itself, before there was a formatter of this package, or by a
factory that the program has put in its place) has the context of where it is handled.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable

from geomon import dispatch
from geomon.context import RECORD_ATTRIBUTE, bound
from geomon.logs.trace_ids import current_span

TRACE_ATTRIBUTE = "_geomon_trace"
"""The ids of OpenTelemetry's span, where OpenTelemetry was imported; empty without a span."""

Factory = Callable[..., logging.LogRecord]

_OPENTELEMETRY = "opentelemetry.trace"
_modules = sys.modules
_wanting: set[int] = set()
_ours: Factory | None = None
_earlier: Factory = logging.LogRecord


def begin(formatter: object) -> None:
    """Lets records carry their context for a formatter, as long as it lives."""
    global _ours, _earlier
    if dispatch.disabled:
        return
    _wanting.add(id(formatter))
    weakref.finalize(formatter, _end, id(formatter)).atexit = False
    current = logging.getLogRecordFactory()
    if current is not _ours:
        _ours, _earlier = _carrying(current), current
        logging.setLogRecordFactory(_ours)


def end(formatter: object) -> None:
    """Puts the earlier factory back, where ours still stands and no other formatter wants it."""
    _end(id(formatter))


def _end(formatter: int) -> None:
    global _ours
    _wanting.discard(formatter)
    if not _wanting and _ours is not None and logging.getLogRecordFactory() is _ours:
        logging.setLogRecordFactory(_earlier)
        _ours = None


def _carrying(factory: Factory) -> Factory:
    get = bound.get

    def made(*args: object, **kwargs: object) -> logging.LogRecord:
        record = factory(*args, **kwargs) if kwargs else factory(*args)
        try:
            attributes = record.__dict__
            attributes[RECORD_ATTRIBUTE] = get()
            if _OPENTELEMETRY in _modules:
                attributes[TRACE_ATTRIBUTE] = current_span() or ()
        except AttributeError:  # the program's factory makes something of its own
            pass
        return record

    return made
