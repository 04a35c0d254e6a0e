"""A record's fields, whatever it holds: every value is looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from geomon import clock
from geomon.logs.cleaning import Cleaner, unused
from geomon.logs.frames import written
from geomon.logs.interrupts import from_signal
from geomon.logs.limits import Limits
from geomon.logs.messages import formatted
from geomon.logs.naming import RESERVED, TRACE, extras_of, in_order
from geomon.logs.redaction import Redactor
from geomon.logs.showing import class_name
from geomon.logs.snapshot import Snapshot
from geomon.logs.timestamps import timestamp
from geomon.logs.trace_ids import from_traceparent

Fields = dict[str, Any]


class Assembly:
    """Puts a record's fields together.

    Args:
        redactor: What replaces secrets.
        limits: How much of a value is written.
        static: Fields that every record has.
        place: Gives the fields that name process, thread and task.
    """

    def __init__(
        self,
        redactor: Redactor,
        limits: Limits,
        static: Mapping[str, Any],
        place: Callable[[Snapshot], Mapping[str, Any]],
    ) -> None:
        self._redactor = redactor
        self._limits = limits
        self._static = static
        self._place = place

    def fields(self, snapshot: Snapshot, budget: int) -> Fields:
        """The fields, in order, in about as many characters as the budget has."""
        cleaner = Cleaner(self._redactor, self._limits, budget)
        cleaner.cut = snapshot.cut
        fields = self._beginning(snapshot, cleaner)
        exception = _exception(snapshot, cleaner)
        context = in_order(snapshot.context)
        for key in context:
            if key not in TRACE:
                self._add(
                    fields, "context_", key, snapshot.context[key], cleaner, key in snapshot.copied
                )
        self._add_extras(fields, snapshot, cleaner)
        fields.update(exception)
        for key in context:
            if key in TRACE:
                self._add(
                    fields, "context_", key, snapshot.context[key], cleaner, key in snapshot.copied
                )
        if TRACE[0] not in fields and TRACE[1] not in fields:
            trace = snapshot.trace or from_traceparent(snapshot.context)
            fields.update(zip(TRACE, trace or (), strict=False))
        fields.update(self._place(snapshot))
        if cleaner.cut:
            fields["truncated"] = True
        return fields

    def _beginning(self, snapshot: Snapshot, cleaner: Cleaner) -> Fields:
        values = snapshot.values
        return {
            "timestamp": time_of(snapshot),
            "level": cleaner.share(level_of(values)),
            "logger": cleaner.share(snapshot.logger),
            "message": cleaner.share(message_of(snapshot, self._redactor)),
            "module": cleaner.share(values.get("module")),
            "function": cleaner.share(values.get("funcName")),
            "line": cleaner.share(values.get("lineno")),
            **self._static,
        }

    def _add_extras(self, fields: Fields, snapshot: Snapshot, cleaner: Cleaner) -> None:
        for number, key in enumerate(extras_of(snapshot.values)):
            value = snapshot.values[key]
            if number >= self._limits.items or cleaner.left <= 0:
                cleaner.cut = True
                return
            if not (key in snapshot.context and same(value, snapshot.context[key])):
                self._add(fields, "extra_", key, value, cleaner, key in snapshot.copied)

    def _add(
        self,
        fields: Fields,
        prefix: str,
        key: object,
        value: object,
        cleaner: Cleaner,
        copied: bool,
    ) -> None:
        name = cleaner.key(key)
        taken = name in RESERVED or name in self._static or name in fields
        try:
            clean = (cleaner.again if copied else cleaner.field)(name, value)
        except BaseException as error:
            if from_signal(error):
                raise
            clean = f"<value that cannot be written: {class_name(type(error))}>"
        fields[unused(prefix + name, fields) if taken else name] = clean


def same(one: object, other: object) -> bool:
    """Whether an extra says what is bound under its name."""
    return one is other or (type(one) is type(other) and one == other)


def time_of(snapshot: Snapshot) -> str:
    """When the record was made; now, where it does not say."""
    try:
        return timestamp(snapshot.created)
    except (ValueError, OverflowError, OSError):
        return timestamp(clock.wall())


def level_of(values: Mapping[str, Any]) -> Any:
    """The level's name; of a record that only has the number, the number's."""
    name = values.get("levelname")
    if name is not None:
        return name
    number = values.get("levelno")
    return logging.getLevelName(number) if type(number) is int else "NOTSET"


def message_of(snapshot: Snapshot, redactor: Redactor) -> str:
    """The message, formatted at last where that could wait."""
    if snapshot.message is not None:
        return snapshot.message
    text, args = snapshot.values.get("msg"), snapshot.values.get("args")
    if type(text) is not str:
        return ""
    return formatted(text, args, redactor) if args else text


def _exception(snapshot: Snapshot, cleaner: Cleaner) -> Fields:
    """Taken before the extras: they shall not take its room."""
    fields: Fields = {}
    whole, half = cleaner.left, cleaner.left // 2
    cleaner.left = half
    if snapshot.exception is not None:
        fields["exception"] = written(snapshot.exception, cleaner)
    elif text := snapshot.values.get("exc_text"):
        fields["exception"] = {"text": cleaner.share(text)}
    if text := snapshot.values.get("stack_info"):
        fields["stack_info"] = cleaner.share(text)
    cleaner.left += whole - half
    return fields
