"""What two values of JSON are to each other. A missing one makes every comparison false."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from geomon.logs.fields import MISSING
from geomon.logs.patterns import Search

Value = Callable[[Mapping[str, Any]], Any]
"""Gives a record's field, or a constant."""
Test = Callable[[Mapping[str, Any]], bool]

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPERATORS = ("==", "!=", *_ORDERS)


def compared(left: Value, sign: str, right: Value) -> Test:
    """`left sign right`."""
    order = _ORDERS.get(sign)
    if order is not None:
        return _ordered(left, order, right)
    wanted = sign == "=="

    def test(record: Mapping[str, Any]) -> bool:
        one, other = left(record), right(record)
        return one is not MISSING and other is not MISSING and _equal(one, other) is wanted

    return test


def contained(item: Value, items: Value, negated: bool) -> Test:
    """`item in items`, or `item not in items`."""

    def test(record: Mapping[str, Any]) -> bool:
        one, several = item(record), items(record)
        if one is MISSING or not isinstance(several, list):
            return False
        return any(_equal(one, other) for other in several) is not negated

    return test


def searched(value: Value, found: Search, wanted: bool) -> Test:
    """`value ~ pattern`, or `value !~ pattern`; false for what is not a text."""

    def test(record: Mapping[str, Any]) -> bool:
        text = value(record)
        return isinstance(text, str) and found(text) is wanted

    return test


def is_set(value: Value) -> Test:
    """A field alone."""

    def test(record: Mapping[str, Any]) -> bool:
        found = value(record)
        return found is not MISSING and found is not None and found is not False

    return test


def _ordered(left: Value, order: Callable[[Any, Any], bool], right: Value) -> Test:
    def test(record: Mapping[str, Any]) -> bool:
        one, other = left(record), right(record)
        comparable = _kind(one) == _kind(other) and _kind(one) in ("number", "text")
        return comparable and order(one, other)

    return test


def _equal(one: Any, other: Any) -> bool:
    try:
        return _kind(one) == _kind(other) and bool(one == other)
    except RecursionError:  # two values of a record, both a thousand deep
        return False


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, (int, float)) else type(value).__name__
