"""What a record says, taken where it is handled: nothing that happens later changes it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from geomon import clock
from geomon.context import RECORD_ATTRIBUTE, bound
from geomon.logs import trace_ids
from geomon.logs.carrying import TRACE_ATTRIBUTE
from geomon.logs.cleaning import Cleaner, text_of_key
from geomon.logs.exceptions import Structure, structure
from geomon.logs.interrupts import from_signal
from geomon.logs.limits import Limits
from geomon.logs.messages import PLAIN, message
from geomon.logs.redaction import Redactor
from geomon.logs.showing import class_name, exact

STANDARD = tuple(vars(logging.LogRecord("", 0, "", 0, "", None, None)))
"""The attributes that every record has, in their order."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Snapshot(NamedTuple):
    """A record, ready to be written by another thread at any later time.

    Attributes:
        values: The record's attributes; those that could change are copied, as plain values.
        context: What was bound.
        trace: Ids of OpenTelemetry's current span.
        message: The message; None where `values` has a format and arguments that cannot change.
        exception: The exception as plain values.
        task: The asyncio task's name, where threads were asked for.
        cut: Whether copying had to cut something.
        copied: The names of what had to be copied.
    """

    values: dict[str, Any]
    context: Mapping[str, Any]
    trace: trace_ids.Trace | None = None
    message: str | None = None
    exception: Structure | None = None
    task: str | None = None
    cut: bool = False
    copied: frozenset[object] = frozenset()

    @property
    def levelno(self) -> int:
        """The level's number; 0 where the record has none."""
        level = self.values.get("levelno")
        return level if type(level) is int else 0

    @property
    def logger(self) -> str:
        """The logger's name."""
        name = self.values.get("name")
        return name if type(name) is str else "root"

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        created = self.values.get("created")
        return float(created) if isinstance(created, float | int) else clock.wall()


_NOTHING_COPIED: frozenset[object] = frozenset()
_OPENTELEMETRY = "opentelemetry.trace"
_modules = sys.modules
_new = tuple.__new__
_DEFAULTS: dict[str, Any] = {**dict.fromkeys(STANDARD), "msg": ""}
FIRST_EXTRA = len(STANDARD) - 1
"""Where the extras begin, less one: where an attribute is missing, no extra is passed over."""


class Taker:
    """Takes snapshots.

    Args:
        redactor: What replaces secrets in what has to be copied.
        limits: How much is copied.
        tasks: Whether the name of the asyncio task is wanted.
    """

    def __init__(self, redactor: Redactor, limits: Limits, tasks: bool) -> None:
        self._redactor = redactor
        self._limits = limits
        self._tasks = tasks
        self._plain: Mapping[str, Any] = NOTHING  # a context that was found to be plain

    def snapshot(self, record: logging.LogRecord) -> Snapshot:
        """Takes the snapshot of a record, which stays as it is."""
        try:
            values = record.__dict__.copy()
            context = values.pop(RECORD_ATTRIBUTE, None)
            if context is None:
                context = bound.get()
            trace = values.pop(TRACE_ATTRIBUTE, None)
            if (
                values["exc_info"] is None
                and type(values["msg"]) is str
                and type(record) is logging.LogRecord
                and PLAIN.issuperset(map(type, islice(values.values(), FIRST_EXTRA, None)))
                and (not values["args"] or _are_plain(values["args"]))
                and (context is self._plain or self._is_plain(context))
            ):
                if trace is None and _OPENTELEMETRY in _modules:
                    trace = trace_ids.current_span()
                task = _task_name() if self._tasks else None
                return _new(
                    Snapshot,
                    (values, context, trace or None, None, None, task, False, _NOTHING_COPIED),
                )
        except BaseException as error:
            if from_signal(error):
                raise
        return self._careful(record)

    def _is_plain(self, context: Mapping[str, Any]) -> bool:
        if not PLAIN.issuperset(map(type, context.values())):
            return False
        self._plain = context
        return True

    def _careful(self, record: logging.LogRecord) -> Snapshot:
        try:
            return self._copied(record)
        except BaseException as error:
            if from_signal(error):
                raise
            return _new(
                Snapshot,
                (_bare(record, error), NOTHING, None, None, None, None, True, _NOTHING_COPIED),
            )

    def _copied(self, record: logging.LogRecord) -> Snapshot:
        values = {**_DEFAULTS, **record.__dict__}
        context, trace = values.pop(RECORD_ATTRIBUTE, None), values.pop(TRACE_ATTRIBUTE, None)
        text = None
        if type(record) is not logging.LogRecord or not _is_plain_message(values):
            text = message(record, values, self._redactor)
        exception = self._exception(values)
        if not issubclass(type(context), Mapping):
            context = bound.get()
        values = _attributes(values)
        cleaner = Cleaner(self._redactor, self._limits, self._limits.size)
        return Snapshot(
            values=_copies(values, cleaner),
            context=_copies(context, cleaner),
            trace=trace_ids.current_span() if trace is None else trace or None,
            message=text,
            exception=exception,
            task=_task_name() if self._tasks else None,
            cut=cleaner.cut,
            copied=frozenset(_changeable(values) | _changeable(context)),
        )

    def _exception(self, values: Mapping[str, Any]) -> Structure | None:
        if not values["exc_info"]:
            return None
        try:
            return structure(values["exc_info"], self._limits)
        except BaseException as error:
            if from_signal(error):
                raise
            reason = class_name(type(error))
            return {"type": "unknown", "message": f"<cannot be shown: {reason}>", "stack": []}


def _are_plain(args: object) -> bool:
    return type(args) is tuple and PLAIN.issuperset(map(type, args))


def _is_plain_message(values: Mapping[str, Any]) -> bool:
    args = values["args"]
    return type(values["msg"]) is str and (args is None or _are_plain(args))


def _attributes(values: dict[str, Any]) -> dict[str, Any]:
    """The attributes without what a copy would keep alive for nothing."""
    values["exc_info"] = None
    if not _are_plain(values["args"]):
        values["args"] = None
    if type(values["msg"]) is not str:
        values["msg"] = ""
    return values


def _copies(values: Mapping[str, Any], cleaner: Cleaner) -> dict[str, Any]:
    return {
        key: value
        if type(value) in PLAIN or (key == "args" and type(value) is tuple)
        else _copy(key, value, cleaner)
        for key, value in values.items()
    }


def _changeable(values: Mapping[str, Any]) -> set[object]:
    return {key for key, value in values.items() if type(value) not in PLAIN}


def _copy(key: object, value: object, cleaner: Cleaner) -> Any:
    try:
        return cleaner.field(text_of_key(key), value)
    except BaseException as error:
        if from_signal(error):
            raise
        cleaner.cut = True
        return f"<{class_name(type(value))} that cannot be written: {class_name(type(error))}>"


def _bare(record: logging.LogRecord, error: BaseException) -> dict[str, Any]:
    """What can be had of a record without calling anything."""
    values = {key: value for key, value in record.__dict__.items() if type(value) in PLAIN}
    return {**_DEFAULTS, **values, "msg": f"... could not be read: {type(error).__name__}"}


def _task_name() -> str | None:
    asyncio = _modules.get("asyncio")
    try:
        task = None if asyncio is None else asyncio.current_task()
        return None if task is None else exact(task.get_name())
    except RuntimeError:  # no loop runs in this thread
        return None
