"""An exception as plain values, taken while its traceback is still what it was."""

from __future__ import annotations

import linecache
import sys
from types import FrameType, TracebackType
from typing import Any

from geomon.logs.interrupts import from_signal
from geomon.logs.limits import Limits
from geomon.logs.showing import class_name, str_of, text_of

Structure = dict[str, Any]

_DEPTH = 5  # groups inside groups
_CHILDREN = 20
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_suppresses = BaseException.__dict__["__suppress_context__"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__


def structure(exc_info: Any, limits: Limits) -> Structure | None:
    """What a record's `exc_info` says, as plain values that keep nothing alive.

    Args:
        exc_info: What `logging` allows there: `True`, an exception, the tuple of `sys.exc_info()`.
        limits: How many frames and causes are kept.

    Returns:
        `type`, `message`, `stack`, and where there are some `notes`, `exceptions` and `causes`;
        None where there is no exception.
    """
    error, traceback = _parts(exc_info)
    if error is None:
        return None
    result = _one(error, traceback, limits, _DEPTH)
    causes = _causes(error, limits)
    return {**result, "causes": causes} if causes else result


def _parts(exc_info: Any) -> tuple[Any, TracebackType | None]:
    if isinstance(exc_info, BaseException):
        return exc_info, _traceback(exc_info)
    if not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    cls, error, traceback = (*exc_info, None, None, None)[:3]
    if isinstance(error, BaseException):
        return error, traceback if isinstance(traceback, TracebackType) else _traceback(error)
    return cls, traceback if isinstance(traceback, TracebackType) else None


def _one(error: Any, traceback: TracebackType | None, limits: Limits, depth: int) -> Structure:
    cls = error if isinstance(error, type) else type(error)
    result: Structure = {
        "type": class_name(cls),
        "message": _message(error),
        "stack": _stack(traceback, limits.frames),
    }
    if notes := _notes(error):
        result["notes"] = notes
    if isinstance(error, BaseExceptionGroup):
        result["exceptions"] = _children(error, limits, depth)
    return result


def _message(error: Any) -> str:
    if isinstance(error, type):
        return ""
    return str_of(error)


def _notes(error: Any) -> list[str]:
    try:
        notes = getattr(error, "__notes__", None)
        return [text_of(note) for note in list(notes)[:_CHILDREN]] if notes else []
    except BaseException as failure:
        if from_signal(failure):
            raise
        return []


def _children(group: BaseExceptionGroup[Any], limits: Limits, depth: int) -> list[Any]:
    children = BaseExceptionGroup.exceptions.__get__(group)
    if not depth:
        return [f"… ({len(children)} exceptions cut)"]
    shown: list[Any] = [
        structure_of_child(child, limits, depth - 1) for child in children[:_CHILDREN]
    ]
    if len(children) > _CHILDREN:
        shown.append(f"… ({len(children) - _CHILDREN} exceptions cut)")
    return shown


def structure_of_child(child: BaseException, limits: Limits, depth: int) -> Structure:
    """An exception inside a group, with its causes."""
    result = _one(child, _traceback(child), limits, depth)
    causes = _causes(child, limits)
    return {**result, "causes": causes} if causes else result


def _causes(error: Any, limits: Limits) -> list[Any]:
    """Why it was raised, and why that was: as Python's own tracebacks choose them."""
    causes: list[Any] = []
    seen = {id(error)}
    cause = _next(error)
    while cause is not None and id(cause) not in seen:
        if len(causes) >= min(limits.items, _CHILDREN):
            causes.append("… (further causes cut)")
            break
        seen.add(id(cause))
        causes.append(_one(cause, _traceback(cause), limits, 1))
        cause = _next(cause)
    return causes


def _next(error: Any) -> BaseException | None:
    if not isinstance(error, BaseException):
        return None
    cause: BaseException | None = _cause(error)
    if cause is None and not _suppresses(error):
        cause = _context(error)
    return cause


def _stack(traceback: TracebackType | None, most: int) -> list[Any]:
    places: list[tuple[FrameType, int | None]] = []
    while traceback is not None:
        places.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    if len(places) <= most:
        return [_frame(*place) for place in places]
    first, last = places[: most // 2], places[-(most - most // 2) :]
    cut = f"… ({len(places) - most} frames cut)"
    return [*(_frame(*place) for place in first), cut, *(_frame(*place) for place in last)]


def _frame(frame: FrameType, line: int | None) -> Structure:
    code = frame.f_code
    if code.co_filename not in linecache.cache:  # how to find its lines; nothing is read yet
        linecache.lazycache(code.co_filename, frame.f_globals)
    return {"file": code.co_filename, "line": line, "function": code.co_name}
