"""Under which names bound values and extras are written, beside the record's own fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from geomon.logs.snapshot import STANDARD

FIXED = ("timestamp", "level", "logger", "message", "module", "function", "line")
"""The fields that every record begins with."""

IDS = ("request_id", "user_id")
"""Bound values that come first."""

TRACE = ("trace_id", "span_id")
"""Bound values that come last."""

RESERVED = frozenset(
    (
        *FIXED,
        *("exception", "stack_info", "truncated"),
        *("process", "process_name", "thread", "thread_name", "task"),
    )
)
"""Names that nothing but the record itself is written under."""

_PASSED_OVER = frozenset((*STANDARD, "message", "asctime", "taskName"))

Pick = Callable[[Mapping[Any, Any]], tuple[Any, ...]]


class Plan(NamedTuple):
    """What to take from records with the same names of extras and of bound values.

    Attributes:
        names: What is written, in order, the record's own fields first: `level` brings `logger`
            along, and `module` function and line.
        bound: Takes the bound values but for the trace.
        extras: Takes the record's extras.
        trace: Takes the bound ids of a trace; None where there are none.
        secret: Those of the names whose values are secrets.
        same: Extras that are bound under the same name; where they differ, both are written.
        traced: Whether a trace id or a span id is among them.
        traceparent: Whether a `traceparent` is bound.
        special: Whether there is anything in `secret`, `same` or `traceparent`.
    """

    names: tuple[str, ...]
    bound: Pick
    extras: Pick
    trace: Pick | None
    secret: tuple[str, ...]
    same: tuple[str, ...]
    traced: bool
    traceparent: bool
    special: bool


def plan(
    keys: Sequence[str],
    context: Sequence[str],
    reserved: Callable[[str], bool],
    is_secret: Callable[[str], bool],
) -> Plan | None:
    """The plan for a record's keys, or None where they need a closer look.

    Args:
        keys: All keys of the record.
        context: The names of what is bound.
        reserved: Whether a name is taken.
        is_secret: Whether a name is a secret's.
    """
    ordered = in_order(context)
    before = [key for key in ordered if key not in TRACE]
    after = [key for key in ordered if key in TRACE]
    extras = [key for key in extras_of(keys) if key not in context]
    given = (*before, *extras, *after)
    if any(reserved(name) for name in given):
        return None
    secret = tuple(name for name in given if is_secret(name))
    same = tuple(key for key in extras_of(keys) if key in context)
    return Plan(
        names=("timestamp", "level", "message", "module", *given),
        bound=_pick(before),
        extras=_pick(extras),
        trace=_pick(after) if after else None,
        secret=secret,
        same=same,
        traced=not set(given).isdisjoint(TRACE),
        traceparent="traceparent" in context,
        special=bool(secret or same or "traceparent" in context),
    )


def extras_of(keys: Iterable[Any]) -> list[Any]:
    """The keys that a record does not have by itself; a leading underscore says private."""
    return [
        key
        for key in keys
        if key not in _PASSED_OVER and not (isinstance(key, str) and key.startswith("_"))
    ]


def in_order(context: Iterable[Any]) -> list[Any]:
    """The names of bound values, as they are written."""
    names = list(context)
    first = [name for name in IDS if name in names]
    last = [name for name in TRACE if name in names]
    return [*first, *(name for name in names if name not in (*IDS, *TRACE)), *last]


def _pick(keys: list[str]) -> Pick:
    if len(keys) > 1:
        return itemgetter(*keys)
    if not keys:
        return lambda values: ()
    only = keys[0]
    return lambda values: (values[only],)
