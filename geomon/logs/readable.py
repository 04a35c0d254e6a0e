"""A record as lines for people: time, level, logger, message, fields; then its exception."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TextIO

from geomon.logs.safe import safe, safe_json, safe_lines

Paint = Callable[[str, str], str]
"""Gives a text the look of a name in `LOOKS`."""

_INDENT = "    "
_MAX_EXCEPTIONS = 20
_APART = frozenset(
    (
        *("timestamp", "level", "logger", "message", "module", "function", "line"),
        *("exception", "stack_info"),
    )
)
_OTHERS = {"exceptions": "among them ", "causes": "caused by "}
_OWN = frozenset(("type", "message", "notes", "stack", *_OTHERS))
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+%")

LOOKS = {
    "DEBUG": "2",
    "INFO": "32",
    "WARNING": "33",
    "ERROR": "1;31",
    "CRITICAL": "1;37;41",
    "time": "2",
    "logger": "36",
    "name": "34",
    "place": "2",
    "error": "31",
    "broken": "35",
    "header": "1",
}
"""The parameters of ECMA-48's SGR, the eight colours that every terminal has."""


def colours(text: str, look: str) -> str:
    """Paints a text."""
    code = LOOKS.get(look)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def no_colours(text: str, look: str) -> str:
    """Leaves a text as it is."""
    return text


def paint_for(stream: TextIO) -> Paint:
    """`colours` for a terminal, unless `NO_COLOR` is set; `FORCE_COLOR` takes all for terminals."""
    if os.environ.get("NO_COLOR"):
        return no_colours
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    return colours if terminal or os.environ.get("FORCE_COLOR") else no_colours


def readable(
    fields: Mapping[str, Any],
    paint: Paint = no_colours,
    broken: bool = False,
    short: bool = False,
) -> str:
    """The lines of a record, without the last line's end; safe for a terminal.

    Args:
        fields: The record's fields, values of JSON.
        paint: `colours`, or `no_colours`.
        broken: Whether it was a line that is no record: it is shown as it is.
        short: Whether it is for the terminal of a running program: the local time of day, to the
            millisecond, and not the place in the code.
    """
    message = fields.get("message")
    if broken:
        return paint(safe(str(message)), "broken")
    first, *more = safe_lines(message if isinstance(message, str) else _value(message))
    lines = [_head(fields, first, paint, short), *(_INDENT + line for line in more)]
    if fields.get("exception") is not None:
        lines += [_INDENT + line for line in _exception(fields["exception"], paint)]
    lines += [_INDENT + line for line in _stack(fields.get("stack_info"))]
    return "\n".join(lines)


def _head(fields: Mapping[str, Any], message: str, paint: Paint, short: bool) -> str:
    level, time = safe(str(fields.get("level", ""))), str(fields.get("timestamp", ""))
    parts = [
        paint(_time_of_day(time) if short else safe(time), "time"),
        paint(f"{level:<8}", level),
        paint(safe(str(fields.get("logger", ""))), "logger"),
        message,
        *(
            paint(safe(name) + "=", "name") + _value(value)
            for name, value in fields.items()
            if name not in _APART and value is not None
        ),
        "" if short else paint(_place(fields), "place"),
    ]
    return " ".join(part for part in parts if part)


def _time_of_day(timestamp: str) -> str:
    try:
        time = datetime.fromisoformat(timestamp).astimezone()
    except (ValueError, OverflowError):
        return safe(timestamp)
    return time.time().isoformat("milliseconds")


def _place(fields: Mapping[str, Any]) -> str:
    names = [str(fields[name]) for name in ("module", "function") if fields.get(name)]
    line = f":{fields['line']}" if names and fields.get("line") else ""
    return safe(f"({'.'.join(names)}{line})") if names else ""


def _value(value: Any) -> str:
    if isinstance(value, str) and value and _PLAIN.issuperset(value):
        return value
    return safe_json(_json(value))


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deeply to show)"


def _exception(exception: Any, paint: Paint) -> Iterator[str]:
    """An exception, those in its group, and its causes, each after the one that names it."""
    waiting: list[tuple[str, Any]] = [("", exception)]
    for _ in range(_MAX_EXCEPTIONS):
        if not waiting:
            return
        why, error = waiting.pop(0)
        if isinstance(error, dict):
            yield from _one_exception(why, error, paint)
            waiting[:0] = _others(error)
        else:
            first, *more = safe_lines(error if isinstance(error, str) else _json(error))
            yield from (paint(why + first, "error"), *more)
    if waiting:
        yield f"… and {len(waiting)} more"


def _others(error: dict[str, Any]) -> list[tuple[str, Any]]:
    lists = ((why, error.get(name)) for name, why in _OTHERS.items())
    return [(why, other) for why, found in lists if isinstance(found, list) for other in found]


def _one_exception(why: str, error: dict[str, Any], paint: Paint) -> Iterator[str]:
    kind, message = str(error.get("type", "exception")), error.get("message")
    text = message if isinstance(message, str) else "" if message is None else _json(message)
    first, *more = safe_lines(f"{kind}: {text}" if text else kind)
    yield paint(why + first, "error")
    yield from (paint(line, "error") for line in (*more, *_stack(error.get("notes"))))
    for name, value in error.items():
        if name not in _OWN:
            yield f"{safe(name)}={_value(value)}"
    yield from ("  " + line for line in _stack(error.get("stack")))


def _stack(stack: Any) -> Iterator[str]:
    if isinstance(stack, str):
        yield from safe_lines(stack.strip("\n"))
    elif isinstance(stack, list):
        for frame in stack:
            yield from _frame(frame)


def _frame(frame: Any) -> Iterator[str]:
    if isinstance(frame, str):
        yield from safe_lines(frame.rstrip("\n"))
    elif isinstance(frame, dict) and "file" in frame:
        place = f"{frame['file']}:{frame.get('line', '?')}"
        yield safe(f"{place} in {frame['function']}" if frame.get("function") else place)
        if isinstance(frame.get("code"), str):
            yield from ("  " + line for line in safe_lines(frame["code"].strip()))
    else:
        yield safe_json(_json(frame))
