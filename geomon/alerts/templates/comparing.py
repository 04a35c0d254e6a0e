"""Go's comparisons of templates: only values of one kind can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geomon.alerts.templates.errors import ExpansionError


def equal(first: Any, *others: Any) -> bool:
    """`eq`: whether it equals any of the others."""
    if not others:
        raise ExpansionError("missing argument for comparison")
    return True in [_equal(first, other) for other in others]  # every one is looked at


def _equal(first: Any, other: Any) -> bool:
    _check(first, other)
    return bool(first == other)


def not_equal(first: Any, other: Any) -> bool:
    """`ne`."""
    return not _equal(first, other)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(first: Any, other: Any) -> bool:
        _check(first, other)
        if isinstance(first, bool):
            raise ExpansionError("invalid type for comparison")
        return compare(first, other)

    return ordered


less = _ordered(lambda first, other: first < other)
less_or_equal = _ordered(lambda first, other: first < other or first == other)
greater = _ordered(lambda first, other: not (first < other or first == other))
greater_or_equal = _ordered(lambda first, other: not first < other)


def _check(first: Any, other: Any) -> None:
    if type(first) not in (bool, int, float, str):
        raise ExpansionError("invalid type for comparison")
    if type(first) is not type(other):
        raise ExpansionError(
            "incompatible types for comparison: beside a value write 5.0, not 5"
            if {type(first), type(other)} == {int, float}
            else "incompatible types for comparison"
        )
