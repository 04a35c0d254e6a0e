"""One log record a call, on `geomon.ai` or `geomon.http`.

INFO when it went well, WARNING when it failed, was cancelled or was abandoned. The record stands at
the decorated function or with-block; labels, measurements and context are its extra attributes. A
bound name or an attribute that is one of the record's own, such as `cost`, becomes `context_cost`.
"""

from __future__ import annotations

import logging
from typing import Any

from geomon.call import Call, Usage
from geomon.context import RECORD_ATTRIBUTE, Bound

_LOGGERS = {
    "ai": logging.getLogger("geomon.ai"),
    "request": logging.getLogger("geomon.http"),
    "client_request": logging.getLogger("geomon.http"),
}
# a program that sets no logging up does not want failed calls on stderr
_LOGGERS["ai"].addHandler(logging.NullHandler())
_LOGGERS["request"].addHandler(logging.NullHandler())

_LABELS = (
    "kind",
    "type",
    "model",
    "provider",
    "method",
    "endpoint",
    "host",
    "status",
    "outcome",
    "error_type",
    "duration",
    "time_to_first_token",
    "time_per_output_token",
    "response_model",
    "trace_id",
    "span_id",
    "request_size",
    "response_size",
)
_COUNTS = ("input", "output", "cached_input", "cache_write", "reasoning")
_OWN = (
    *_LABELS,
    *(f"{name}_tokens" for name in _COUNTS),
    "cost",
    "usage",
    "attempts",
    "finish_reasons",
    "exception_type",
    "exception_message",
)
_RESERVED = frozenset((*dir(logging.makeLogRecord({})), *_OWN, "message", "asctime"))
_TAKEN = Bound()
"""What a record carries as its context: that of the call stands among its attributes."""


class LogSink:
    """Writes each call as one record of the standard library's logging.

    Args:
        capture_content: Whether the text of an exception, which may quote a prompt, is written.
    """

    def __init__(self, capture_content: bool = False) -> None:
        self._capture_content = capture_content

    def __call__(self, call: Call) -> None:
        """Writes the record, where the logger takes its level."""
        logger = _LOGGERS[call.kind]
        level = logging.INFO if call.outcome == "ok" else logging.WARNING
        if logger.isEnabledFor(level):
            logger.handle(self._record(logger, level, call))

    def _record(self, logger: logging.Logger, level: int, call: Call) -> logging.LogRecord:
        code = call.code
        file, line, function = code if code is not None else ("(unknown file)", 0, None)
        record = logger.makeRecord(
            logger.name, level, file, line, _message(call), (), None, function
        )
        attributes = record.__dict__
        for values in (call.context, call.attributes):
            for name, value in values.items():
                attributes[f"context_{name}" if name in _RESERVED else name] = value
        for name in _LABELS:
            value = getattr(call, name)
            if value is not None:
                attributes[name] = value
        if call.usage or call.attempts or call.finish_reasons or call.error is not None:
            self._add_details(attributes, call)
        attributes[RECORD_ATTRIBUTE] = _TAKEN
        return record

    def _add_details(self, attributes: dict[str, Any], call: Call) -> None:
        if call.finish_reasons:
            attributes["finish_reasons"] = list(call.finish_reasons)
        if call.attempts:
            attributes["attempts"] = len(call.attempts)
        if call.usage:
            attributes.update(_spend(call))
        if call.error is not None:
            attributes["exception_type"] = _class_name(call.error)
            if self._capture_content:
                attributes["exception_message"] = _text(call.error)


def _spend(call: Call) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    for name in _COUNTS:
        known = [count for used in call.usage if (count := getattr(used, name)) is not None]
        if known:
            extras[f"{name}_tokens"] = sum(known)
    if call.cost is not None:
        extras["cost"] = call.cost
    if len(call.usage) > 1:
        extras["usage"] = [_entry(used) for used in call.usage]
    return extras


def _entry(used: Usage) -> dict[str, Any]:
    return {name: value for name, value in used._asdict().items() if value is not None}


def _message(call: Call) -> str:
    if call.kind == "ai":
        what = f"{call.type} {call.model}" if call.model else f"{call.type}"
    else:
        what = f"{call.method} {call.endpoint or call.host}"
        if call.status is not None:  # None: no answer came
            what = f"{what} {call.status}"
    error = f" ({call.error_type})" if call.error_type else ""
    return f"{_one_line(what)} {call.outcome}{error} in {call.duration:.3f} s"


def _one_line(text: str) -> str:
    """The text with its control characters escaped: no label forges a second line."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _class_name(error: BaseException) -> str:
    cls = type(error)
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} without a text>"
